//! What each route says of itself. A line of the route table cannot be made without an [`Operation`], and the document
//! at `/api/v1/openapi.json` is made of the table, so that no route is served undescribed or described unserved. A
//! handler reads its query through the same operation: a parameter that is not described is not accepted.

mod code;
mod document;
mod schema;

pub(crate) use code::is_known;
#[cfg(test)]
pub(crate) use document::build;
pub use document::document;
pub(crate) use schema::{Name, Slug, error_code};

use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Schemas by their names.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// A type, as far as the document is concerned.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// A reference to it.
    pub(crate) schema: fn() -> RefOr<Schema>,
    /// It and what it is made of.
    pub(crate) parts: fn(&mut Schemas),
}

impl Shape {
    pub(crate) const fn of<T: ToSchema>() -> Self {
        Self { schema: schema::reference::<T>, parts: schema::parts::<T> }
    }
}

/// What a parameter may hold.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Any text.
    Text,
    /// A key or slug of ours.
    Slug,
    /// An RFC 3339 time.
    Time,
    /// `true` or `false`.
    Flag,
    /// A page's size.
    Limit,
    /// Where a page begins.
    Cursor,
    /// One of a type's words.
    Word(fn() -> RefOr<Schema>),
}

/// A query parameter.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) help: &'static str,
    pub(crate) example: Option<&'static str>,
    /// Whether a token has to give it.
    pub(crate) required: bool,
}

impl Parameter {
    const fn new(name: &'static str, form: Form, help: &'static str, example: Option<&'static str>) -> Self {
        Self { name, form, help, example, required: false }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn text(name: &'static str, help: &'static str, example: &'static str) -> Self {
        Self::new(name, Form::Text, help, Some(example))
    }

    pub(crate) const fn slug(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Form::Slug, help, Some("acme"))
    }

    pub(crate) const fn time(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Form::Time, help, Some("2026-01-31T08:00:00Z"))
    }

    pub(crate) const fn flag(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Form::Flag, help, None)
    }

    pub(crate) const fn word<T: PartialSchema>(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Form::Word(T::schema), help, None)
    }
}

/// Of every list and of what is done inside one organization.
pub(crate) const ORGANIZATION: Parameter = Parameter::slug(
    "organization",
    "The slug of the organization. A token sees its own only, with or without this; the operator names one.",
);

const LIMIT: Parameter =
    Parameter::new("limit", Form::Limit, "How many items at most, 1 to 200; 50 without it.", Some("50"));
const CURSOR: Parameter = Parameter::new(
    "cursor",
    Form::Cursor,
    "`next_cursor` of the page before, as it came. Opaque; use it with the same filters.",
    None,
);

/// What comes back when all goes well.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// Nothing.
    None,
    /// JSON.
    Json(Shape),
    /// `{"items": […], "next_cursor": …}`.
    Page(Shape),
    /// The OpenAPI document.
    Document,
    /// JSON, one object a line.
    Lines,
    /// HTML.
    Html,
    /// A file of the page, of the type that its name says.
    File,
}

/// One good answer.
#[derive(Clone, Copy)]
pub(crate) struct Good {
    pub(crate) status: u16,
    pub(crate) help: &'static str,
    pub(crate) content: Content,
}

/// What a request carries.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// One JSON object.
    Json(Shape),
    /// One JSON object, or nothing.
    AnyJson(Shape),
    /// An HTML form.
    Form(Shape),
    /// A forge's delivery, in the words of `schema::delivery`.
    Delivery,
}

/// What a route says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// Unique; clients name their functions by it.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) help: &'static str,
    pub(crate) parameters: &'static [Parameter],
    /// Whether it is read page by page, so that `limit` and `cursor` are parameters too.
    pub(crate) paged: bool,
    pub(crate) body: Body,
    pub(crate) good: &'static [Good],
    /// Codes of errors that only this route gives; those of all routes of its kind are added.
    pub(crate) codes: &'static [&'static str],
}

impl Operation {
    pub(crate) const fn new(id: &'static str, summary: &'static str, good: &'static [Good]) -> Self {
        Self { id, summary, help: "", parameters: &[], paged: false, body: Body::None, good, codes: &[] }
    }

    /// A list that is read page by page, and whose lines are filtered by `parameters`.
    pub(crate) const fn list(
        id: &'static str,
        summary: &'static str,
        good: &'static [Good],
        parameters: &'static [Parameter],
    ) -> Self {
        Self { parameters, paged: true, ..Self::new(id, summary, good) }
    }

    pub(crate) const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    pub(crate) const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    pub(crate) const fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(crate) const fn codes(self, codes: &'static [&'static str]) -> Self {
        Self { codes, ..self }
    }

    /// All its query parameters.
    pub(crate) fn query(&self) -> impl Iterator<Item = &Parameter> {
        let paging: &[Parameter] = if self.paged { &[LIMIT, CURSOR] } else { &[] };
        self.parameters.iter().chain(paging)
    }
}

/// One good answer that carries JSON.
pub(crate) const fn json<T: ToSchema>(status: u16, help: &'static str) -> Good {
    Good { status, help, content: Content::Json(Shape::of::<T>()) }
}

/// One page of a list.
pub(crate) const fn page<T: ToSchema>(help: &'static str) -> Good {
    Good { status: 200, help, content: Content::Page(Shape::of::<T>()) }
}
