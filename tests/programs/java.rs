//! Java, whose oldest way to read a file trusts its length.

use crate::host::{host, made, user};

const PROGRAM: &str = r#"
import java.io.*; import java.nio.*; import java.nio.channels.*; import java.nio.file.*; import java.util.*;
public class Reads {
    public static void main(String[] args) throws Exception {
        Path path = Path.of(args[0]);
        byte[] wanted = Files.readAllBytes(Path.of(args[1]));
        check("readAllBytes", Files.readAllBytes(path), wanted);
        File file = path.toFile();
        byte[] byLength = new byte[(int) file.length()];
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) { in.readFully(byLength); }
        check("length", byLength, wanted);
        try (FileChannel channel = FileChannel.open(path)) {
            ByteBuffer buffer = ByteBuffer.allocateDirect((int) channel.size());
            while (buffer.hasRemaining() && channel.read(buffer) >= 0) { }
            byte[] all = new byte[buffer.flip().remaining()];
            buffer.get(all);
            check("channel", all, wanted);
        }
        try (FileChannel from = FileChannel.open(path); FileChannel to = FileChannel.open(Path.of("copy"), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            from.transferTo(0, from.size(), to);
        }
        check("transferTo", Files.readAllBytes(Path.of("copy")), wanted);
        try (BufferedReader lines = Files.newBufferedReader(Path.of(args[2]))) { System.out.print(lines.readLine()); }
    }
    static void check(String how, byte[] found, byte[] wanted) {
        if (!Arrays.equals(found, wanted)) throw new AssertionError(how + ": " + found.length + " of " + wanted.length);
    }
}
"#;

#[test]
fn java_reads_in_every_way() {
    let script = format!(
        "cat > Reads.java <<'EOF'\n{PROGRAM}\nEOF
        cat $F/binary > wanted; java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC Reads.java $F/binary wanted $F/passphrase"
    );
    // javac: the source is compiled as it is run.
    let needs = &[("java", "default-jdk-headless"), ("javac", "default-jdk-headless")];
    assert_eq!(String::from_utf8(user(&host(), needs, &script)).unwrap(), made().passphrase);
}
