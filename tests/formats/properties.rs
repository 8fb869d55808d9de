//! `java.util.Properties` reads `properties`, from bytes and from text.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hushfs::format::Format;
use serde_json::json;

use crate::values;
use crate::written::{Values, printed, program, write, written};

/// Prints names and values in base64.
const PROGRAM: &str = r#"
import java.io.*; import java.nio.charset.*; import java.nio.file.*; import java.util.*;
public class Reads {
    public static void main(String[] args) throws Exception {
        Properties bytes = new Properties(), text = new Properties(), latin = new Properties();
        try (InputStream in = new FileInputStream("values")) { bytes.load(in); }
        try (Reader in = Files.newBufferedReader(Path.of("values"), StandardCharsets.UTF_8)) { text.load(in); }
        try (Reader in = Files.newBufferedReader(Path.of("values"), StandardCharsets.ISO_8859_1)) { latin.load(in); }
        if (!bytes.equals(text) || !bytes.equals(latin)) throw new AssertionError("bytes and text differ");
        Base64.Encoder encoder = Base64.getEncoder();
        for (String name : bytes.stringPropertyNames())
            System.out.println(encoder.encodeToString(name.getBytes("UTF-8")) + " " + encoder.encodeToString(bytes.getProperty(name).getBytes("UTF-8")));
    }
}
"#;

fn java(values: &Values) -> BTreeMap<String, String> {
    std::fs::write(values.dir.path().join("Reads.java"), PROGRAM).unwrap();
    program("javac", "default-jdk-headless");
    let args = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Reads.java"];
    let printed =
        String::from_utf8(printed(&program("java", "default-jdk-headless"), &args, values.dir.path()))
            .unwrap();
    let decoded = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
    let pair = |line: &str| line.split_once(' ').map(|(name, value)| (decoded(name), decoded(value)));
    printed.lines().filter_map(pair).collect()
}

#[test]
fn java_reads_every_value() {
    let mut all = values::all();
    all.push("a\0b".into());
    let values = write(Format::Properties, &all, |_| false);
    values.read_as(&java(&values));
}

#[test]
fn java_reads_every_name() {
    let mut values = write(Format::Properties, &["x".to_owned()], |_| false);
    values.wanted = values::all().into_iter().map(|name| (name.clone(), format!("of {name}"))).collect();
    std::fs::write(&values.file, written(Format::Properties, &json!(values.wanted)).unwrap()).unwrap();
    values.read_as(&java(&values));
}
