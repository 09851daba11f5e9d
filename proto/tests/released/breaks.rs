//! Each kind of break is found, and each kind of addition passes.

use prost_types::FileDescriptorSet;
use protox::{
    Compiler,
    file::{File, FileResolver},
};

use crate::compare;

const RELEASED: &str = r#"
syntax = "proto3";
package pets.v1;

service Shop {
  rpc Trade(stream Pet) returns (stream Price);
  rpc Ask(Pet) returns (Price);
}

message Pet {
  reserved 7, 10 to 12;
  reserved "fur";
  enum Mood {
    reserved 4 to 5;
    UNKNOWN = 0;
    CALM = 1;
    WILD = 2;
  }
  message Tag { uint32 id = 1; }
  string name = 1;
  Mood mood = 2;
  repeated sint64 weights = 3;
  map<string, string> labels = 4;
  oneof home {
    string street = 5;
    uint32 cage = 6;
  }
  Tag tag = 8;
  uint32 age = 9;
}

message Price { uint64 cents = 1; }

enum Size {
  SMALL = 0;
  LARGE = 1;
}
"#;

/// One file of a text.
struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        File::from_source(name, &self.0)
    }
}

fn compile(text: &str) -> FileDescriptorSet {
    let mut compiler = Compiler::with_file_resolver(Text(text.to_owned()));
    compiler.open_file("pets.proto").unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    compiler.file_descriptor_set()
}

/// What is said when each of these texts is replaced by the one beside it.
fn said(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = RELEASED.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "the case speaks of {old:?}, which is not there");
        text = text.replace(old, new);
    }
    compare::broken(&compile(RELEASED), &compile(&text))
}

#[test]
fn every_break_is_told_in_a_sentence() {
    let cases = [
        ("string name = 1;", "", "pets.v1.Pet.name: the field 1 is gone"),
        ("string name = 1;", "reserved 1;", "pets.v1.Pet.name: the field 1 is gone"),
        ("age = 9", "age = 13", "pets.v1.Pet.age: its number was 9 and is 13"),
        ("age = 9", "years = 9", "pets.v1.Pet.age: its name was `age` and is `years`"),
        ("uint32 age", "int32 age", "its type was `TYPE_UINT32` and is `TYPE_INT32`"),
        ("Tag tag", "Price tag", "its type was `.pets.v1.Pet.Tag` and is `.pets.v1.Price`"),
        ("uint32 age", "repeated uint32 age", "its label was `LABEL_OPTIONAL` and is"),
        ("uint32 age", "optional uint32 age", "pets.v1.Pet.age: its oneof was `none` and is"),
        ("weights = 3;", "weights = 3 [packed = false];", "its packing was `true` and is `false`"),
        ("age = 9;", "age = 9 [json_name = \"a\"];", "its name in JSON was `age` and is `a`"),
        ("map<string, string>", "map<string, uint32>", "LabelsEntry.value: its type was"),
        ("oneof home", "oneof place", "pets.v1.Pet.street: its oneof was `home` and is `place`"),
        ("reserved 7, 10 to 12;", "reserved 10 to 12;", "Pet: the number 7 is reserved no more"),
        ("10 to 12", "10, 12", "pets.v1.Pet: the number 11 is reserved no more"),
        ("reserved 4 to 5", "reserved 4", "Pet.Mood: the number 5 is reserved no more"),
        ("reserved \"fur\";", "", "pets.v1.Pet: the name `fur` is reserved no more"),
        ("WILD = 2;", "", "pets.v1.Pet.Mood.WILD: the value 2 is gone"),
        ("WILD = 2", "WILD = 3", "pets.v1.Pet.Mood.WILD: its number was 2 and is 3"),
        ("LARGE = 1", "BIG = 1", "pets.v1.Size.LARGE: the value 1 is gone"),
        ("enum Size", "enum Girth", "the enum pets.v1.Size is gone"),
        ("rpc Ask(Pet) returns (Price);", "", "the rpc pets.v1.Shop.Ask is gone"),
        (
            "rpc Ask(Pet)",
            "rpc Ask(Price)",
            "its request was `.pets.v1.Pet` and is `.pets.v1.Price`",
        ),
        ("(stream Price)", "(Price)", "its answer was `stream .pets.v1.Price` and is"),
        ("service Shop", "service Mall", "the service pets.v1.Shop is gone"),
        ("Price", "Cost", "the message pets.v1.Price is gone"),
        ("pets.v1", "pets.v2", "pets.proto: its package was `pets.v1` and is `pets.v2`"),
    ];
    for (old, new, expected) in cases {
        let said = said(&[(old, new)]);
        assert!(said.iter().any(|line| line.contains(expected)), "{old} -> {new}: {said:#?}");
    }
}

#[test]
fn additions_and_comments_pass() {
    let added = [
        ("uint32 cage = 6;", "uint32 cage = 6; Tag cave = 14;"),
        ("uint32 age = 9;", "uint32 age = 9; // in years\n optional bool shy = 13;"),
        ("WILD = 2;", "WILD = 2; SLEEPY = 3;"),
        ("reserved 7, 10 to 12;", "reserved 7 to 7, 10 to 11, 12, 20 to max;"),
        ("reserved \"fur\";", "reserved \"fur\", \"tail\";"),
        ("message Price", "message Toy { string name = 1; }\nmessage Price"),
        (
            "rpc Ask(Pet) returns (Price);",
            "rpc Ask(Pet) returns (Price); rpc Close(Pet) returns (Pet);",
        ),
        ("enum Size", "enum Colour { RED = 0; }\nenum Size"),
        ("service Shop", "service Zoo {}\nservice Shop"),
    ];
    assert_eq!(said(&added), [] as [&str; 0]);
}

/// A file that is renamed would be unknown to those who import it.
#[test]
fn a_file_that_is_gone_is_told() {
    let set = compile(RELEASED);
    let none = FileDescriptorSet { file: Vec::new() };
    assert_eq!(compare::broken(&set, &none), ["the file pets.proto is gone"]);
}
