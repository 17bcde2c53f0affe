//! What a file holds, by the end of its name.
//!
//! MLflow's rules: what people read is plain text, so that no browser runs it; the rest is what the
//! `mimetypes` of Python 3.11 says without the tables of a system.

/// Shown as text, whatever else they are.
const TEXT: &[&str] = &[
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "ipynb",
    "MLmodel",
    "MLproject",
];

const KINDS: &[(&str, &[&str])] = &[
    ("application/javascript", &["mjs"]),
    ("application/manifest+json", &["webmanifest"]),
    ("application/msword", &["doc", "dot", "wiz"]),
    ("application/n-quads", &["nq"]),
    ("application/n-triples", &["nt"]),
    ("application/pdf", &["pdf"]),
    ("application/postscript", &["ai", "eps", "ps"]),
    ("application/trig", &["trig"]),
    ("application/vnd.ms-excel", &["xlb", "xls"]),
    ("application/vnd.ms-powerpoint", &["pot", "ppa", "pps", "ppt", "pwz"]),
    ("application/wasm", &["wasm"]),
    ("application/x-hdf", &["hdf"]),
    ("application/x-hdf5", &["h5"]),
    ("application/x-latex", &["latex"]),
    ("application/x-netcdf", &["cdf", "nc"]),
    ("application/x-python-code", &["pyc", "pyo"]),
    ("application/x-sh", &["sh"]),
    ("application/x-tar", &["tar"]),
    ("application/x-tex", &["tex"]),
    ("application/xml", &["rdf", "wsdl", "xpdl", "xsl"]),
    ("application/zip", &["zip"]),
    ("audio/3gpp", &["3gp", "3gpp"]),
    ("audio/3gpp2", &["3g2", "3gpp2"]),
    ("audio/aac", &["aac", "adts", "ass", "loas"]),
    ("audio/basic", &["au", "snd"]),
    ("audio/mpeg", &["mp2", "mp3"]),
    ("audio/opus", &["opus"]),
    ("audio/x-aiff", &["aif", "aifc", "aiff"]),
    ("audio/x-pn-realaudio", &["ra"]),
    ("audio/x-wav", &["wav"]),
    ("image/avif", &["avif"]),
    ("image/bmp", &["bmp"]),
    ("image/gif", &["gif"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif"]),
    ("image/ief", &["ief"]),
    ("image/jpeg", &["jpe", "jpeg", "jpg"]),
    ("image/png", &["png"]),
    ("image/svg+xml", &["svg"]),
    ("image/tiff", &["tif", "tiff"]),
    ("image/vnd.microsoft.icon", &["ico"]),
    ("image/x-cmu-raster", &["ras"]),
    ("image/x-portable-anymap", &["pnm"]),
    ("image/x-portable-bitmap", &["pbm"]),
    ("image/x-portable-graymap", &["pgm"]),
    ("image/x-portable-pixmap", &["ppm"]),
    ("image/x-rgb", &["rgb"]),
    ("image/x-xbitmap", &["xbm"]),
    ("image/x-xpixmap", &["xpm"]),
    ("image/x-xwindowdump", &["xwd"]),
    ("message/rfc822", &["eml", "mht", "mhtml", "nws"]),
    ("text/css", &["css"]),
    ("text/html", &["htm", "html"]),
    ("text/n3", &["n3"]),
    ("text/plain", &["bat", "c", "h", "ksh", "pl", "srt"]),
    ("text/vtt", &["vtt"]),
    ("text/x-sgml", &["sgm", "sgml"]),
    ("text/x-vcard", &["vcf"]),
    ("video/mp4", &["mp4"]),
    ("video/mpeg", &["m1v", "mpa", "mpe", "mpeg", "mpg"]),
    ("video/quicktime", &["mov", "qt"]),
    ("video/webm", &["webm"]),
    ("video/x-msvideo", &["avi"]),
    ("video/x-sgi-movie", &["movie"]),
];

/// What is taken off the end of a name before its kind is looked up.
const PACKED: &[&str] = &["gz", "Z", "bz2", "xz", "br"];

/// The media type of a file of this name.
pub(super) fn kind(name: &str) -> &'static str {
    let extension = extension(name).unwrap_or(name);
    if TEXT.contains(&extension) {
        return "text/plain";
    }
    let name = match extension {
        "tgz" | "taz" | "tz" | "tbz2" | "txz" => return "application/x-tar",
        "svgz" => return "image/svg+xml",
        packed if PACKED.contains(&packed) => {
            name.strip_suffix(packed).unwrap_or(name).trim_end_matches('.')
        }
        _ => name,
    };
    let extension = self::extension(name).unwrap_or_default();
    let known = |wanted: &str| {
        let mut kinds = KINDS.iter();
        kinds.find(|(_, ends)| ends.contains(&wanted)).map(|(kind, _)| *kind)
    };
    known(extension)
        .or_else(|| known(&extension.to_ascii_lowercase()))
        .unwrap_or("application/octet-stream")
}

/// What follows the last dot; a dot at the beginning begins no extension.
fn extension(name: &str) -> Option<&str> {
    name.trim_start_matches('.').rsplit_once('.').map(|(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn kinds_are_those_of_mlflow() {
        for (name, wanted) in [
            ("MLmodel", "text/plain"),
            ("a.json", "text/plain"),
            ("page.html", "text/html"),
            ("model.pkl", "application/octet-stream"),
            ("x.tar.gz", "application/x-tar"),
            ("x.gz", "application/octet-stream"),
            ("PLOT.PNG", "image/png"),
            ("nothing", "application/octet-stream"),
            (".png", "application/octet-stream"),
        ] {
            assert_eq!(kind(name), wanted, "{name}");
        }
    }
}
