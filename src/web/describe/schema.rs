//! The pieces of schema that are not derived.

use serde_json::{Value, json};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Object, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::code::CODES;
use super::{Form, Parameter, Schemas};
use crate::web::api::LIMIT_MAX;

/// A key or slug of ours, for the document alone.
pub(crate) struct Slug;

impl PartialSchema for Slug {
    fn schema() -> RefOr<Schema> {
        let help = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit.";
        let schema = string().pattern(Some("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")).description(Some(help));
        schema.min_length(Some(1)).max_length(Some(63)).examples(["acme"]).build().into()
    }
}

impl ToSchema for Slug {}

/// A name for people, for the document alone; `web::name` checks them.
pub(crate) struct Name;

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        let help = "A name for people: 1 to 100 characters, none of them a control character, not all of them spaces.";
        let seen =
            r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
        let schema = string().pattern(Some(seen)).min_length(Some(1)).max_length(Some(100));
        schema.description(Some(help)).examples(["Acme"]).build().into()
    }
}

impl ToSchema for Name {}

/// `#/components/schemas/Name`.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// A type and everything it is made of.
pub(super) fn parts<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// What a parameter may hold.
pub(super) fn of_parameter(parameter: &Parameter) -> RefOr<Schema> {
    let schema = match parameter.form {
        Form::Word(schema) => return schema(),
        Form::Cursor => string().min_length(Some(1)).max_length(Some(1024)),
        Form::Text => string(),
        Form::Slug => return reference::<Slug>(),
        Form::Time => string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        Form::Flag => ObjectBuilder::new().schema_type(Type::Boolean),
        Form::Limit => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(LIMIT_MAX))
            .default(Some(json!(50))),
    };
    schema.build().into()
}

/// What stands in braces in a path.
pub(super) fn of_path(name: &str) -> RefOr<Schema> {
    match name {
        "source" => reference::<Slug>(),
        _ => string().min_length(Some(1)).build().into(),
    }
}

/// One page of a list.
pub(super) fn page(item: RefOr<Schema>) -> Schema {
    let cursor = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("For the next page, as `?cursor=`; null on the last one. A page may have fewer items than asked for, or none, and not be the last."));
    let list = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(item).max_items(Some(LIMIT_MAX)))
        .property("next_cursor", cursor)
        .required("items")
        .required("next_cursor");
    list.build().into()
}

/// Any JSON object: the document itself, a forge's delivery.
pub(super) fn object(help: &str) -> Schema {
    let any = ObjectBuilder::new().schema_type(Type::Object);
    any.description(Some(help)).additional_properties(Some(Schema::from(anything()))).build().into()
}

fn anything() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build()
}

/// A forge's delivery as an HTML form.
pub(super) fn delivery_form() -> Schema {
    let payload = string().description(Some("The same JSON, as text."));
    ObjectBuilder::new().property("payload", payload).required("payload").build().into()
}

/// A stable word out of the list of codes.
pub(crate) fn error_code() -> RefOr<Schema> {
    let words: Vec<Value> = CODES.iter().map(|(code, ..)| Value::from(*code)).collect();
    let lines = CODES.iter().map(|(code, status, help)| format!("- `{code}` ({status}): {help}"));
    let help = format!("A stable word; programs branch on it:\n\n{}", lines.collect::<Vec<_>>().join("\n"));
    string().enum_values(Some(words)).description(Some(help)).build().into()
}
