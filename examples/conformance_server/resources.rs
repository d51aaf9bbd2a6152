//! Resources: a text, a picture, a template, and one to be subscribed to.

use ringmesh::mcp::{Contents, Registry, Resource, ResourceTemplate};
use serde::Deserialize;
use serde_json::json;

use crate::media::PNG;

/// The resource whose updates are told; it is read like any other.
pub(crate) const WATCHED: &str = "test://watched-resource";

#[derive(Deserialize)]
struct Variables {
    id: String,
}

pub(crate) fn register(registry: Registry) -> Registry {
    let text = Resource::text(
        "test://static-text",
        "Static Text Resource",
        "This is the content of the static text resource.",
    );
    let binary =
        Resource::new("test://static-binary", "Static Binary Resource", |_| async move { Ok(PNG.to_vec()) });
    let watched = Resource::text(WATCHED, "Watched Resource", "This resource can be subscribed to.");
    registry
        .resource(text.description("A static text resource for testing").mime_type("text/plain"))
        .resource(binary.description("A static binary/blob resource for testing").mime_type("image/png"))
        .resource(watched.description("A resource whose updates are told").mime_type("text/plain"))
        .resource_template(template())
}

fn template() -> ResourceTemplate {
    ResourceTemplate::new(
        "test://template/{id}/data",
        "Dynamic Resource",
        |variables: Variables, _| async move {
            let id = variables.id;
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            Ok(Contents::text(data.to_string()))
        },
    )
    .description("A dynamic resource with parameter substitution")
    .mime_type("application/json")
}
