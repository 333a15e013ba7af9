//! Reading JSON that may hold anything: a value of the wrong type counts as absent, and nothing is an error but
//! broken syntax.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::Error};

use super::scalar::{clean, parse_time, parse_visibility, time_of_seconds, visibility_of};
use crate::domain::Timestamp;
use crate::domain::project::Visibility;

/// What a value can be read from. Whatever is not overridden reads as nothing.
pub(super) trait Shape<'de> {
    type Out: Default;

    fn text(_value: &str) -> Self::Out {
        Self::Out::default()
    }

    fn whole(_value: u64) -> Self::Out {
        Self::Out::default()
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self::Out, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Out::default())
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self::Out, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Out::default())
    }
}

/// A text or a number.
pub(super) struct Scalar<T>(PhantomData<T>);

/// An object; `T::default()` in place of anything else.
struct Object<T>(PhantomData<T>);

/// The first entry of a list.
struct First<S>(PhantomData<S>);

impl<'de> Shape<'de> for Scalar<String> {
    type Out = Option<String>;

    fn text(value: &str) -> Self::Out {
        Some(clean(value)).filter(|text| !text.is_empty())
    }
}

/// A number that names something: never 0.
impl<'de> Shape<'de> for Scalar<u64> {
    type Out = Option<u64>;

    fn whole(value: u64) -> Self::Out {
        (value > 0).then_some(value)
    }
}

impl<'de> Shape<'de> for Scalar<Timestamp> {
    type Out = Option<Timestamp>;

    fn text(value: &str) -> Self::Out {
        parse_time(value)
    }

    fn whole(value: u64) -> Self::Out {
        time_of_seconds(value)
    }
}

impl<'de> Shape<'de> for Scalar<Visibility> {
    type Out = Option<Visibility>;

    fn text(value: &str) -> Self::Out {
        parse_visibility(value)
    }

    fn whole(value: u64) -> Self::Out {
        visibility_of(value)
    }
}

impl<'de, T: Deserialize<'de> + Default> Shape<'de> for Object<T> {
    type Out = T;

    fn map<A: MapAccess<'de>>(map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de, S: Shape<'de>> Shape<'de> for First<S> {
    type Out = S::Out;

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<S::Out, A::Error> {
        let first = list.next_element_seed(Take::<S>(PhantomData))?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

struct Take<S>(PhantomData<S>);

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Take<S> {
    type Value = S::Out;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Out, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Take<S> {
    type Value = S::Out;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<S::Out, E> {
        Ok(S::text(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<S::Out, E> {
        Ok(S::whole(value))
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<S::Out, E> {
        Ok(S::Out::default())
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<S::Out, E> {
        Ok(S::Out::default())
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<S::Out, E> {
        Ok(S::Out::default())
    }

    fn visit_unit<E: Error>(self) -> Result<S::Out, E> {
        Ok(S::Out::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<S::Out, A::Error> {
        S::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<S::Out, A::Error> {
        S::list(list)
    }
}

/// Reads a text, a number, a time or a visibility.
pub(super) fn maybe<'de, D: Deserializer<'de>, T>(from: D) -> Result<Option<T>, D::Error>
where
    Scalar<T>: Shape<'de, Out = Option<T>>,
{
    Take::<Scalar<T>>(PhantomData).deserialize(from)
}

/// Reads an object.
pub(super) fn object<'de, D: Deserializer<'de>, T>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
{
    Take::<Object<T>>(PhantomData).deserialize(from)
}

/// Reads the first text of a list.
pub(super) fn first_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Take::<First<Scalar<String>>>(PhantomData).deserialize(from)
}

/// Reads the first object of a list.
pub(super) fn first_object<'de, D: Deserializer<'de>, T>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
{
    Take::<First<Object<T>>>(PhantomData).deserialize(from)
}
