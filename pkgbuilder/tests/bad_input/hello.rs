use std::fs;

use pkgbuilder::verify::Sha256;

use crate::World;

/// A component of one script, released by our server as `hello.tar.gz`, whose pinned digest is `sha256`.
pub(crate) fn component(world: &World, sha256: &str) -> String {
    format!(
        "{{ hello: {{
            version: '1.0',
            license: 'MIT',
            homepage: 'https://hello.example/',
            summary: 'says hello',
            description: 'Says it.\\n',
            sources: [{{
              type: 'release', url: '{}/hello.tar.gz', arch_names: 'debian', sha256: {{ arm64: '{sha256}' }},
            }}],
            recipe: {{
              maintainer: 'Test <test@example.invalid>', revision: 1, section: 'misc',
              copyright: {{ holder: 'Test', files: ['LICENSE'] }},
              contents: [{{ src: 'hello', dst: '/usr/bin/hello', file_info: {{ mode: '0755' }} }}],
              depends: [], recommends: [], services: [], lintian_overrides: [],
            }},
        }} }}",
        world.server.url()
    )
}

/// A world that serves the archive of `hello`; also its digest.
pub(crate) fn world() -> (World, Sha256) {
    let world = World::new();
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, content) in [("LICENSE", "free\n"), ("hello", "#!/bin/sh\necho hello\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(1_757_428_604);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let archive = tar.into_inner().unwrap().finish().unwrap();
    fs::write(world.served().join("hello.tar.gz"), &archive).unwrap();
    (world, Sha256::of(&archive))
}
