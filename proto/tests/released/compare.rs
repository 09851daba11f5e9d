//! What a newer descriptor takes away from an older one, or means otherwise. Pure.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

/// A sentence for each break; none when everything of the older one stands.
pub(crate) fn broken(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let mut broken = Vec::new();
    for old in &old.file {
        match new.file.iter().find(|new| new.name() == old.name()) {
            Some(new) => file(old, new, &mut broken),
            None => broken.push(format!("the file {} is gone", old.name())),
        }
    }
    broken
}

fn file(old: &FileDescriptorProto, new: &FileDescriptorProto, broken: &mut Vec<String>) {
    changed(old.name(), "package", old.package(), new.package(), broken);
    changed(old.name(), "syntax", old.syntax(), new.syntax(), broken);
    let package = old.package();
    messages(package, &old.message_type, &new.message_type, broken);
    enums(package, &old.enum_type, &new.enum_type, broken);
    for old in &old.service {
        let name = format!("{package}.{}", old.name());
        match new.service.iter().find(|new| new.name() == old.name()) {
            Some(new) => service(&name, old, new, broken),
            None => broken.push(format!("the service {name} is gone")),
        }
    }
}

/// Says so where two things that have to be the same are not.
fn changed(place: &str, what: &str, old: &str, new: &str, broken: &mut Vec<String>) {
    if old != new {
        broken.push(format!("{place}: its {what} was `{old}` and is `{new}`"));
    }
}

fn messages(
    scope: &str,
    old: &[DescriptorProto],
    new: &[DescriptorProto],
    broken: &mut Vec<String>,
) {
    for old in old {
        let name = format!("{scope}.{}", old.name());
        match new.iter().find(|new| new.name() == old.name()) {
            Some(new) => message(&name, old, new, broken),
            None => broken.push(format!("the message {name} is gone")),
        }
    }
}

fn message(name: &str, old: &DescriptorProto, new: &DescriptorProto, broken: &mut Vec<String>) {
    for field in &old.field {
        let place = format!("{name}.{}", field.name());
        match new.field.iter().find(|new| new.number() == field.number()) {
            Some(now) => {
                changed(&place, "name", field.name(), now.name(), broken);
                let (was, is) = (shape(field, old), shape(now, new));
                let facets = was.iter().zip(&is);
                facets.for_each(|((what, was), (_, is))| changed(&place, what, was, is, broken));
            }
            None => broken.push(match new.field.iter().find(|new| new.name() == field.name()) {
                Some(now) => {
                    let (was, is) = (field.number(), now.number());
                    format!("{place}: its number was {was} and is {is}")
                }
                None => format!("{place}: the field {} is gone", field.number()),
            }),
        }
    }
    let end = |end: i32| end - 1; // here, other than in enums, it is the number behind the last
    let ranges = |message: &DescriptorProto| -> Vec<(i32, i32)> {
        message.reserved_range.iter().map(|range| (range.start(), end(range.end()))).collect()
    };
    reserved(name, &ranges(old), &ranges(new), broken);
    reserved_names(name, &old.reserved_name, &new.reserved_name, broken);
    messages(name, &old.nested_type, &new.nested_type, broken);
    enums(name, &old.enum_type, &new.enum_type, broken);
}

/// All that a field's bytes, its JSON and the generated code follow from.
fn shape(field: &FieldDescriptorProto, message: &DescriptorProto) -> [(&'static str, String); 6] {
    let oneof = field.oneof_index.and_then(|index| usize::try_from(index).ok());
    let oneof = oneof.and_then(|index| message.oneof_decl.get(index));
    let options = field.options.as_ref();
    let kind = match field.type_name() {
        "" => field.r#type().as_str_name(),
        name => name,
    };
    [
        ("type", kind.to_owned()),
        ("label", field.label().as_str_name().to_owned()),
        ("oneof", oneof.map_or("none", |oneof| oneof.name()).to_owned()),
        ("name in JSON", field.json_name().to_owned()),
        ("presence", field.proto3_optional().to_string()),
        ("packing", options.and_then(|options| options.packed).unwrap_or(true).to_string()),
    ]
}

fn enums(
    scope: &str,
    old: &[EnumDescriptorProto],
    new: &[EnumDescriptorProto],
    broken: &mut Vec<String>,
) {
    for old in old {
        let name = format!("{scope}.{}", old.name());
        match new.iter().find(|new| new.name() == old.name()) {
            Some(new) => enumeration(&name, old, new, broken),
            None => broken.push(format!("the enum {name} is gone")),
        }
    }
}

fn enumeration(
    name: &str,
    old: &EnumDescriptorProto,
    new: &EnumDescriptorProto,
    broken: &mut Vec<String>,
) {
    for value in &old.value {
        let place = format!("{name}.{}", value.name());
        match new.value.iter().find(|now| now.name() == value.name()) {
            Some(now) if now.number() == value.number() => {}
            Some(now) => {
                let (was, is) = (value.number(), now.number());
                broken.push(format!("{place}: its number was {was} and is {is}"));
            }
            None => broken.push(format!("{place}: the value {} is gone", value.number())),
        }
    }
    let ranges = |one: &EnumDescriptorProto| -> Vec<(i32, i32)> {
        one.reserved_range.iter().map(|range| (range.start(), range.end())).collect()
    };
    reserved(name, &ranges(old), &ranges(new), broken);
    reserved_names(name, &old.reserved_name, &new.reserved_name, broken);
}

/// Numbers are reserved since they meant something once; the ranges have both ends.
fn reserved(name: &str, old: &[(i32, i32)], new: &[(i32, i32)], broken: &mut Vec<String>) {
    for &(start, end) in old {
        let mut next = i64::from(start);
        let covers = |number: i64| {
            new.iter().find(|(start, end)| (i64::from(*start)..=i64::from(*end)).contains(&number))
        };
        while let Some((_, covered)) = covers(next) {
            next = i64::from(*covered) + 1;
        }
        if next <= i64::from(end) {
            broken.push(format!("{name}: the number {next} is reserved no more"));
        }
    }
}

fn reserved_names(name: &str, old: &[String], new: &[String], broken: &mut Vec<String>) {
    for gone in old.iter().filter(|old| !new.contains(old)) {
        broken.push(format!("{name}: the name `{gone}` is reserved no more"));
    }
}

fn service(
    name: &str,
    old: &ServiceDescriptorProto,
    new: &ServiceDescriptorProto,
    broken: &mut Vec<String>,
) {
    for old in &old.method {
        let place = format!("{name}.{}", old.name());
        let Some(new) = new.method.iter().find(|new| new.name() == old.name()) else {
            broken.push(format!("the rpc {place} is gone"));
            continue;
        };
        let (was, is) = (rpc(old), rpc(new));
        let facets = was.iter().zip(&is);
        facets.for_each(|((what, was), (_, is))| changed(&place, what, was, is, broken));
    }
}

fn rpc(method: &MethodDescriptorProto) -> [(&'static str, String); 2] {
    let stream = |is_stream: bool, name: &str| {
        if is_stream { format!("stream {name}") } else { name.to_owned() }
    };
    [
        ("request", stream(method.client_streaming(), method.input_type())),
        ("answer", stream(method.server_streaming(), method.output_type())),
    ]
}
