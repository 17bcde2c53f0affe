//! The page: the models, what each takes and gives, how to ask it, and every route.

use super::{Service, in_path, routes, schemas};
use mlops_core::{Predictor, predictor::PredictorInfo, signature::TensorSpec};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
/// The most named columns of an input that are shown.
const MOST_COLUMNS: usize = 100;

pub(super) fn of(service: &Service) -> String {
    let config = &service.config;
    let title = escaped(&config.server_name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title} {}</h1>\n\
         <p>Models behind the Open Inference Protocol v2. The same for programs: \
         <a href=\"openapi.json\">openapi.json</a>.</p>\n",
        escaped(&config.server_version)
    );
    page += "<h2>Models</h2>\n";
    let all = service.all();
    if all.is_empty() {
        page += "<p>No model is loaded.</p>\n";
    }
    for (name, model) in &all {
        about(&mut page, name, &model.info());
    }
    page += "<h2>Routes</h2>\n<div class=\"wide\"><table>\n<tr><th>Method</th><th>Path</th><th>Answers</th></tr>\n";
    for route in routes(service) {
        let (method, path) = (route.method.to_uppercase(), escaped(route.path));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            page,
            "<tr><td>{method}</td><td><code>{path}</code></td><td>{}</td></tr>",
            escaped(route.about)
        );
    }
    page + "</table></div>\n</body>\n</html>\n"
}

fn about(page: &mut String, name: &str, info: &PredictorInfo) {
    let _ = writeln!(
        page,
        "<h3>{} <small>version {}</small></h3>",
        escaped(name),
        escaped(&info.version)
    );
    *page += "<div class=\"wide\"><table>\n<tr><th></th><th>Name</th><th>Datatype</th><th>Shape</th><th>Columns</th></tr>\n";
    let sides = [("takes", &info.signature.inputs), ("gives", &info.signature.outputs)];
    for (side, specs) in sides {
        for spec in specs {
            row(page, side, spec);
        }
    }
    *page += "</table></div>\n";
    let example = schemas::example(&info.signature).to_string();
    // As a shell quotes it, then as a page does.
    let (path, example) = (escaped(&in_path(name)), escaped(&example.replace('\'', "'\\''")));
    let _ = writeln!(
        page,
        "<pre>curl -X POST \"$SERVER/v2/models/{path}/infer\" -H 'content-type: application/json' \\\n  \
         --data-raw '{example}'</pre>"
    );
}

fn row(page: &mut String, side: &str, spec: &TensorSpec) {
    let axis = |axis: &Option<usize>| axis.map_or_else(|| "any".to_owned(), |n| n.to_string());
    let shape: Vec<String> = spec.shape.iter().map(axis).collect();
    let mut columns =
        spec.columns.iter().take(MOST_COLUMNS).map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    if spec.columns.len() > MOST_COLUMNS {
        let _ = write!(columns, ", and {} more", spec.columns.len() - MOST_COLUMNS);
    }
    let _ = writeln!(
        page,
        "<tr><td>{side}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(&spec.name),
        spec.dtype.oip_name(),
        shape.join(" × "),
        escaped(&columns)
    );
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}
