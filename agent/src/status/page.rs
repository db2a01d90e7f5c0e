//! The page for people: one self-contained HTML document without scripts.

use computatom_spec::paths;

use crate::status::Status;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem;\
    color:#222;background:#fff}h1{margin-bottom:0}table{border-collapse:collapse;width:100%}\
    td,th{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
    .ok{color:#060}.bad{color:#a00}.note{background:#fff4d6;padding:.6rem;border-left:4px solid #c90}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.note{color:#222}td,th{border-color:#444}\
    .ok{color:#6c6}.bad{color:#f77}a{color:#8bf}}";

/// The document.
pub fn render(status: &Status) -> String {
    let identity = &status.identity;
    let name = escape(&identity.hostname);
    let verdict = if status.is_ready() {
        format!("<p class=ok>{}</p>", status.verdict())
    } else {
        let items = status
            .waits_for
            .iter()
            .map(|wait| format!("<li>waits for {}</li>", escape(wait)));
        let fault = status.fault.as_ref().map(|fault| {
            format!(
                "<li>wrong: {}; correct the site settings, build the image anew and burn it</li>",
                escape(fault)
            )
        });
        let failed = status
            .failed_units
            .iter()
            .map(|unit| format!("<li>failed: {}</li>", escape(unit)));
        format!(
            "<ul class=bad>{}</ul>",
            fault
                .into_iter()
                .chain(items)
                .chain(failed)
                .collect::<Vec<_>>()
                .concat()
        )
    };
    let address = identity
        .address()
        .map_or_else(|| "none yet".to_owned(), |address| address.to_string());
    let mut facts = vec![
        ("cluster", status.cluster.clone()),
        ("address", address),
        ("name", identity.hostname_source.explain().to_owned()),
        (
            "roles",
            format!("{} ({})", status.assignment.names(), status.assignment.reason),
        ),
        (
            "board",
            format!("{}, {} MiB of memory", identity.board.model, identity.board.memory_mib),
        ),
        (
            "serial",
            identity.board.serial.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("image", status.image.clone().unwrap_or_else(|| "unknown".to_owned())),
    ];
    facts.extend(status.slots.as_ref().map(|slots| ("slot", slots.sentence())));
    if !status.ssh.is_empty() {
        facts.push(("ssh", status.ssh.clone()));
    }
    let facts: String = facts
        .iter()
        .map(|(key, value)| format!("<tr><th>{key}</th><td>{}</td></tr>", escape(value)))
        .collect::<Vec<_>>()
        .concat();
    let checks: String = status
        .checks
        .iter()
        .map(|check| {
            let class = if check.healthy { "ok" } else { "bad" };
            let service = escape(check.service);
            let service = match &check.url {
                Some(url) => format!("<a href=\"{}\">{service}</a>", escape(url)),
                None => service,
            };
            format!(
                "<tr><th>{service}</th><td class={class}>{}</td></tr>",
                escape(&check.detail)
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let notes: String = status
        .warnings
        .iter()
        .map(|note| format!("<p class=note>{}</p>", escape(note)))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><meta http-equiv=refresh content=15><title>{name}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{name}</h1>{verdict}\n<table>{facts}</table>\n\
         <h2>Services</h2>\n<table>{checks}</table>\n{notes}\n<p><a href=\"/metrics\">metrics</a> · \
         computatom-agent {} on port {}</p>\n</body></html>\n",
        status.agent,
        paths::AGENT_PORT,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
