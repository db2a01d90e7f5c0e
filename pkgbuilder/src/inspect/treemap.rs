//! What takes the room, as a picture: a squarified treemap (Bruls, Huizing, van Wijk: "Squarified Treemaps", 2000) in one
//! SVG file that needs nothing else. Areas are sizes; groups have a colour each, packages are the cells.

use std::fmt::Write;

use super::sizes::{Room, Sizes, share};
use crate::housekeeping::quantity::bytes;

const WIDTH: f64 = 1280.0;
const HEAD: f64 = 64.0;
const MAP: f64 = 760.0;
const MARGIN: f64 = 16.0;
/// Height of a group's name above its cells.
const GROUP_NAME: f64 = 18.0;
/// Height of a line of the legend, and its columns.
const LEGEND_LINE: f64 = 24.0;
const LEGEND_COLUMNS: usize = 4;
/// Colours of the largest groups, light enough for black letters (contrast at least 8:1) and told apart by the colour-blind
/// (after Paul Tol's "light" scheme), and of all others.
const COLOURS: [&str; 9] = [
    "#99ddff", "#ee8866", "#eedd88", "#ffaabb", "#44bb99", "#bbcc33", "#aaaa00", "#b7c6f5", "#e3b8f0",
];
const OTHERS: &str = "#dddddd";
/// Name of the group that takes what has no colour of its own.
const OTHER_GROUPS: &str = "other groups";
/// Mean width of a letter, in parts of its size, of the fonts that browsers take for sans-serif: a little too wide.
const LETTER: f64 = 0.58;
/// The smallest letters.
const SMALLEST: f64 = 10.0;
/// Fewer letters of a name than these say nothing.
const LEAST_LETTERS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// A group with its cells.
struct Group<'a> {
    name: &'a str,
    colour: &'static str,
    size: u64,
    cells: Vec<&'a Room>,
}

/// The picture.
pub fn svg(sizes: &Sizes) -> String {
    let groups = groups(sizes);
    let lines = groups.len().div_ceil(LEGEND_COLUMNS);
    #[allow(clippy::cast_precision_loss, reason = "a few lines")]
    let height = HEAD + MAP + MARGIN + LEGEND_LINE * lines as f64 + MARGIN;
    let title = escape(&format!("What takes the room in {}", sizes.title()));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\" font-family=\"sans-serif\">\n\
         <title id=\"title\">{title}</title>\n\
         <desc id=\"desc\">Each rectangle is a package, its area the size of its files; the colour is that of its group. \
         {}</desc>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escape(&spoken(sizes, &groups))
    );
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"28\" font-size=\"20\" font-weight=\"bold\">{} for {}</text>\n\
         <text x=\"{MARGIN}\" y=\"50\" font-size=\"14\">{}</text>",
        escape(&sizes.image),
        escape(&sizes.target),
        escape(sizes.title().split_once(": ").map_or("", |(_, rest)| rest))
    );
    let map = Area {
        x: MARGIN,
        y: HEAD,
        width: WIDTH - 2.0 * MARGIN,
        height: MAP,
    };
    let weights: Vec<u64> = groups.iter().map(|group| group.size).collect();
    for (group, area) in groups.iter().zip(squarify(&weights, map)) {
        draw_group(&mut svg, group, area, sizes.total.size);
    }
    for (at, group) in groups.iter().enumerate() {
        draw_legend(&mut svg, group, at, sizes.total.size);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The groups largest first; those beyond the colours are one.
fn groups(sizes: &Sizes) -> Vec<Group<'_>> {
    let coloured = sizes.groups.len().min(COLOURS.len());
    let mut groups: Vec<Group<'_>> = sizes.groups[..coloured]
        .iter()
        .zip(COLOURS)
        .map(|(room, colour)| Group {
            name: &room.name,
            colour,
            size: room.size,
            cells: sizes
                .packages
                .iter()
                .filter(|package| package.group == room.name)
                .collect(),
        })
        .collect();
    let named = |package: &&Room| sizes.groups[..coloured].iter().any(|room| room.name == package.group);
    let cells: Vec<&Room> = sizes.packages.iter().filter(|package| !named(package)).collect();
    if !cells.is_empty() {
        groups.push(Group {
            name: OTHER_GROUPS,
            colour: OTHERS,
            size: cells.iter().map(|room| room.size).sum(),
            cells,
        });
    }
    groups.retain(|group| group.size > 0);
    groups.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(b.name)));
    groups
}

fn spoken(sizes: &Sizes, groups: &[Group<'_>]) -> String {
    let parts: Vec<String> = groups
        .iter()
        .map(|group| format!("{} {}", group.name, share(group.size, sizes.total.size)))
        .collect();
    format!("Groups: {}.", parts.join(", "))
}

fn draw_group(svg: &mut String, group: &Group<'_>, area: Area, total: u64) {
    let labels = [format!("{}  {}", group.name, bytes(group.size)), group.name.to_owned()];
    let label = labels.iter().find(|label| width(label, 12.0) <= area.width - 8.0);
    let label = label.filter(|_| area.height > 3.0 * GROUP_NAME);
    let _ = writeln!(svg, "<g>");
    if let Some(label) = label {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" font-weight=\"bold\">{}</text>",
            area.x + 4.0,
            area.y + 13.0,
            escape(label)
        );
    }
    let top = if label.is_some() { GROUP_NAME } else { 0.0 };
    let inner = Area {
        x: area.x,
        y: area.y + top,
        width: area.width,
        height: area.height - top,
    };
    let weights: Vec<u64> = group.cells.iter().map(|cell| cell.size).collect();
    for (cell, area) in group.cells.iter().zip(squarify(&weights, inner)) {
        draw_cell(svg, group, cell, area, total);
    }
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"#222222\" stroke-width=\"1.5\"/>\n</g>",
        area.x, area.y, area.width, area.height
    );
}

fn draw_cell(svg: &mut String, group: &Group<'_>, cell: &Room, area: Area, total: u64) {
    if cell.size == 0 {
        return;
    }
    let stored = cell
        .stored
        .map_or_else(String::new, |stored| format!(", {} as stored", bytes(stored)));
    let files = if cell.files == 1 {
        "1 file".to_owned()
    } else {
        format!("{} files", cell.files)
    };
    let _ = writeln!(
        svg,
        "<g><title>{} ({}): {}, {} of the whole{stored}, {files}</title>\
         <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"1\"/>",
        escape(&cell.name),
        escape(group.name),
        bytes(cell.size),
        share(cell.size, total),
        area.x,
        area.y,
        area.width,
        area.height,
        group.colour
    );
    // As large as the cell allows, and never too small to be read.
    let room = area.width - 8.0;
    let sizes = [18.0, 15.0, 12.0, SMALLEST];
    let fits = |size: &&f64| width(&cell.name, **size) <= room && **size * 1.5 <= area.height;
    if let Some(size) = sizes.iter().find(fits) {
        let below = size - 2.0;
        let amount = bytes(cell.size);
        let second = area.height >= size * 1.4 + below * 1.6 && width(&amount, below) <= room && below >= 10.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\">{}</text>",
            area.x + 4.0,
            area.y + size * 1.1,
            escape(&cell.name)
        );
        if second {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{below}\">{amount}</text>",
                area.x + 4.0,
                area.y + size * 1.1 + below * 1.25
            );
        }
    } else if let Some(name) = shortened(&cell.name, room, SMALLEST).filter(|_| area.height >= SMALLEST * 1.5) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{SMALLEST}\">{}</text>",
            area.x + 4.0,
            area.y + SMALLEST * 1.1,
            escape(&name)
        );
    }
    svg.push_str("</g>\n");
}

#[allow(clippy::cast_precision_loss, reason = "a few entries")]
fn draw_legend(svg: &mut String, group: &Group<'_>, at: usize, total: u64) {
    let column = (WIDTH - 2.0 * MARGIN) / LEGEND_COLUMNS as f64;
    let x = MARGIN + column * (at % LEGEND_COLUMNS) as f64;
    let y = HEAD + MAP + MARGIN + LEGEND_LINE * (at / LEGEND_COLUMNS) as f64;
    let text = format!("{}  {}, {}", group.name, bytes(group.size), share(group.size, total));
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"16\" height=\"16\" fill=\"{}\" stroke=\"#222222\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"14\">{}</text>",
        group.colour,
        x + 22.0,
        y + 13.0,
        escape(&text)
    );
}

/// Divides an area among weights, which come largest first, so that the parts are as square as can be.
#[allow(clippy::cast_precision_loss, reason = "pixels do not show it")]
fn squarify(weights: &[u64], area: Area) -> Vec<Area> {
    let whole: u64 = weights.iter().sum();
    if whole == 0 {
        return weights
            .iter()
            .map(|_| Area {
                width: 0.0,
                height: 0.0,
                ..area
            })
            .collect();
    }
    let scale = area.width.max(0.0) * area.height.max(0.0) / whole as f64;
    let areas: Vec<f64> = weights.iter().map(|weight| *weight as f64 * scale).collect();
    let (mut rest, mut left, mut placed) = (areas.as_slice(), area, Vec::new());
    while !rest.is_empty() {
        let side = left.width.min(left.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, after) = rest.split_at(count);
        rest = after;
        left = place(row, left, &mut placed);
    }
    placed
}

/// The worst ratio of the sides of a row's parts along `side`.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thickness = sum / side;
    let ratio = |part: &f64| {
        let length = part / thickness;
        (length / thickness).max(thickness / length)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Places a row along the shorter side; gives what is left.
fn place(row: &[f64], area: Area, placed: &mut Vec<Area>) -> Area {
    let sum: f64 = row.iter().sum();
    let upright = area.width >= area.height;
    let side = if upright { area.height } else { area.width };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for part in row {
        let length = if thickness > 0.0 { part / thickness } else { 0.0 };
        placed.push(if upright {
            Area {
                x: area.x,
                y: area.y + at,
                width: thickness,
                height: length,
            }
        } else {
            Area {
                x: area.x + at,
                y: area.y,
                width: length,
                height: thickness,
            }
        });
        at += length;
    }
    if upright {
        Area {
            x: area.x + thickness,
            width: (area.width - thickness).max(0.0),
            ..area
        }
    } else {
        Area {
            y: area.y + thickness,
            height: (area.height - thickness).max(0.0),
            ..area
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "the letters of a name")]
fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// As much of a name as fits, where that says anything.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few letters")]
fn shortened(name: &str, room: f64, size: f64) -> Option<String> {
    let letters = (room / (size * LETTER)).max(0.0) as usize;
    let kept: String = name.chars().take(letters.saturating_sub(1)).collect();
    (letters > LEAST_LETTERS).then(|| format!("{kept}…"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for them, not even escaped.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sizes::{measure, tests::manifest};
    use super::*;

    #[test]
    fn every_package_is_a_titled_cell() {
        let sizes = measure(&manifest(), None, None);
        let picture = svg(&sizes);
        assert_eq!(picture, svg(&sizes));
        for package in [
            "nomad (components)",
            "firmware-brcm80211 (firmware)",
            "(generated) ((generated))",
            "BOOT_A (boot",
        ] {
            assert!(picture.contains(&format!("<title>{package}")), "{package}: {picture}");
        }
        assert!(picture.contains("<title>nomad (components): 5.9 KiB, 60.0% of the whole, 1 file</title>"));
        assert!(picture.contains("Groups: components 60.0%, firmware 25.0%, libs 10.0%"));
        assert!(!picture.contains("href"), "it needs nothing else");
    }

    #[test]
    fn black_letters_are_read_on_every_colour() {
        // web content accessibility guidelines 2.2, relative luminance and contrast
        for colour in COLOURS.iter().chain([&OTHERS]) {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            let luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
            assert!((luminance + 0.05) / 0.05 >= 8.0, "{colour} {luminance}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escape("a<b>&\"\u{1}"), "a&lt;b&gt;&amp;&quot;\u{fffd}");
    }

    proptest! {
        #[test]
        fn areas_are_weights_inside_the_whole(mut weights in proptest::collection::vec(1_u64..1 << 40, 1..60)) {
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let whole = Area { x: 3.0, y: 5.0, width: 700.0, height: 400.0 };
            let total: u64 = weights.iter().sum();
            let placed = squarify(&weights, whole);
            prop_assert_eq!(placed.len(), weights.len());
            for (area, weight) in placed.iter().zip(&weights) {
                #[allow(clippy::cast_precision_loss, reason = "pixels do not show it")]
                let expected = 700.0 * 400.0 * *weight as f64 / total as f64;
                prop_assert!((area.width * area.height - expected).abs() < 0.5, "{area:?} {expected}");
                prop_assert!(area.x >= 2.9 && area.y >= 4.9);
                prop_assert!(area.x + area.width <= 703.1 && area.y + area.height <= 405.1);
            }
        }
    }
}
