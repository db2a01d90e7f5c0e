//! `.oci.tar`: a container image with one layer, as an OCI image layout in an archive
//! (<https://github.com/opencontainers/image-spec>, version 1.1: image-layout.md, manifest.md, config.md, layer.md).
//!
//! Beside it, over the same blobs, what `docker load` of any age reads (`manifest.json`, moby's image/spec/v1.2.md).

use std::fs::File;
use std::io::{BufWriter, Seek, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::output::{Output, Summing};
use super::{DiskImage, Files, Folder, Papers};
use crate::assemble::Job;
use crate::compose::Rootfs;
use crate::definition::format::Format;
use crate::package::compression::Compression;
use crate::package::date;
use crate::reporter::Reporter;
use crate::verify::Sha256;

/// gzip, which every version of every engine unpacks; more than level 6 saves a hundredth.
const LAYER: Compression = Compression::Gzip(6);
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The one layer: all files.
struct Layer {
    file: File,
    /// Of what is in `file`.
    sha256: Sha256,
    size: u64,
    /// Of the archive before it was compressed.
    diff_id: Sha256,
    unpacked: u64,
}

impl Folder {
    /// Makes the container image of a finished root, with its companions, and gives all of them their names.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full or the person interrupts; then nothing has changed under the final names.
    pub fn publish_container(
        &self,
        stem: &str,
        rootfs: &Rootfs,
        papers: &Papers<'_>,
        job: &Job<'_>,
        reporter: &Reporter,
    ) -> Result<DiskImage> {
        let mut files = Files::new(self, stem);
        let bar = reporter.busy("packing the files into a layer");
        let layer = self.layer(rootfs)?;
        let unpacked = layer.unpacked;
        let mut out = Output::create(&self.file(stem, Format::Oci.suffix()))?;
        archive(layer, papers, job, &mut out)?;
        bar.finish_and_clear();
        let written = out.complete()?;
        files.add(Format::Oci.suffix(), written.pending, written.sha256.hex());
        files.papers(papers)?;
        files.commit(job.formats, unpacked, reporter)
    }

    fn layer(&self, rootfs: &Rootfs) -> Result<Layer> {
        let file = tempfile::tempfile_in(&self.path).context("creating a file for the layer")?;
        let compressed = Summing::new(BufWriter::new(file));
        let encoder = LAYER.encoder(compressed).context("preparing gzip")?;
        let mut plain = Summing::new(encoder);
        rootfs.tree.write_tar(&mut plain).context("writing the layer")?;
        let (encoder, diff_id, unpacked) = plain.finish();
        let (writer, sha256, size) = encoder.finish().context("writing the layer")?.finish();
        let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind().context("reading the layer back")?;
        Ok(Layer {
            file,
            sha256,
            size,
            diff_id,
            unpacked,
        })
    }
}

/// Puts the layer and what describes it into one archive.
fn archive(mut layer: Layer, papers: &Papers<'_>, job: &Job<'_>, out: &mut Output) -> Result<()> {
    let config = bytes(&config(&layer, papers, job))?;
    let manifest = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &config),
        "layers": [{ "mediaType": LAYER_TYPE, "digest": digest(layer.sha256), "size": layer.size }],
        "annotations": annotations(papers, job),
    }))?;
    let name = format!("localhost/computatom/{}:latest", job.image.name);
    let mut entry = descriptor(MANIFEST_TYPE, &manifest);
    entry["platform"] = platform(job);
    // Engines take the name from one or the other.
    entry["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry] });
    let docker = json!([{
        "Config": blob(Sha256::of(&config)),
        "RepoTags": [name],
        "Layers": [blob(layer.sha256)],
    }]);

    let mut builder = Builder::new(out);
    let epoch = u64::try_from(job.lock.epoch).unwrap_or(0);
    let mut append = |name: &str, size: u64, content: &mut dyn std::io::Read| -> Result<()> {
        let mut header = Header::new_ustar();
        let folder = name.ends_with('/');
        header.set_entry_type(if folder {
            EntryType::Directory
        } else {
            EntryType::Regular
        });
        header.set_mode(if folder { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(epoch);
        header.set_size(size);
        builder
            .append_data(&mut header, name, content)
            .with_context(|| format!("writing {name} into the archive"))
    };
    let mut text = |name: &str, content: &[u8]| append(name, content.len() as u64, &mut &*content);
    text("blobs/", &[])?;
    text("blobs/sha256/", &[])?;
    text(&blob(Sha256::of(&config)), &config)?;
    text(&blob(Sha256::of(&manifest)), &manifest)?;
    text("index.json", &bytes(&index)?)?;
    text("manifest.json", &bytes(&docker)?)?;
    text("oci-layout", &bytes(&json!({ "imageLayoutVersion": "1.0.0" }))?)?;
    append(&blob(layer.sha256), layer.size, &mut layer.file)?;
    builder
        .into_inner()
        .context("writing the end of the archive")?
        .flush()?;
    Ok(())
}

/// How a container is started: systemd, which starts the agent and what it decides to.
fn config(layer: &Layer, papers: &Papers<'_>, job: &Job<'_>) -> Value {
    let created = date::to_rfc3339(job.lock.epoch);
    let mut config = platform(job);
    config["created"] = json!(created);
    config["config"] = json!({
        // By `container` systemd knows where it is (systemd(1), container interface); podman sets it anyway.
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=oci"],
        "Cmd": ["/sbin/init"],
        // What systemd shuts down by (systemd(1), signals).
        "StopSignal": "SIGRTMIN+3",
        "Labels": annotations(papers, job),
    });
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [digest(layer.diff_id)] });
    config["history"] = json!([{ "created": created, "created_by": format!("pkgbuilder {}", papers.manifest.tool) }]);
    config
}

fn platform(job: &Job<'_>) -> Value {
    json!({ "architecture": job.target.arch.names().oci, "os": "linux" })
}

/// annotations.md
fn annotations(papers: &Papers<'_>, job: &Job<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": job.image.name,
        "org.opencontainers.image.description": job.image.description,
        "org.opencontainers.image.created": date::to_rfc3339(job.lock.epoch),
        "org.opencontainers.image.version": papers.manifest.tool,
    })
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest(Sha256::of(content)), "size": content.len() })
}

fn digest(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

fn blob(sha256: Sha256) -> String {
    format!("blobs/sha256/{sha256}")
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("writing JSON")
}
