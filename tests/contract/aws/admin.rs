//! The servers that stand for AWS, and what their operator does there.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::process::{free_port, python, serve};

/// The account that everything belongs to.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The region of all that does not say another.
pub(crate) const REGION: &str = "eu-central-1";

/// A server, and a program that talks to it as its operator.
pub(crate) struct Aws {
    pub(crate) address: SocketAddr,
    operator: Mutex<Operator>,
}

struct Operator {
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// Keys of a user, or of a session.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) user: String,
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// A name that nobody else uses.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Aws {
    /// ministack, which checks signatures and policies.
    pub(crate) fn ministack() -> &'static Self {
        static SERVER: OnceLock<Aws> = OnceLock::new();
        SERVER.get_or_init(|| Self::start_ministack("ministack", "true"))
    }

    /// ministack, which checks nothing, and whose metadata service gives credentials that nobody knows elsewhere.
    pub(crate) fn unchecked() -> &'static Self {
        static SERVER: OnceLock<Aws> = OnceLock::new();
        SERVER.get_or_init(|| Self::start_ministack("ministack-unchecked", "false"))
    }

    /// moto: another opinion on what AWS answers.
    pub(crate) fn moto() -> &'static Self {
        static SERVER: OnceLock<Aws> = OnceLock::new();
        SERVER.get_or_init(|| {
            let address = free_port();
            let mut server = Command::new(python("moto_server"));
            server.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
            serve("moto", &server, address);
            Self::at(address)
        })
    }

    fn start_ministack(name: &str, auth: &str) -> Self {
        let address = free_port();
        let mut server = Command::new(python("ministack"));
        server
            .env("AUTH", auth)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string());
        server.env("MINISTACK_IMDS_V2_REQUIRED", "1");
        serve(name, &server, address);
        Self::at(address)
    }

    fn at(address: SocketAddr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/aws/admin.py");
        let mut child = Command::new(python("python"))
            .arg(script)
            .arg(format!("http://{address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { address, operator: Mutex::new(Operator { _child: child, to, from }) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls `service.call(**args)` in `region` with those keys. An error is `{"error": CODE}`.
    fn call_with(&self, keys: (&str, &str), region: &str, service: &str, call: &str, args: Value) -> Value {
        let mut operator = self.operator.lock();
        let ask = json!({"keys": [keys.0, keys.1], "region": region, "service": service, "call": call, "args": args});
        writeln!(operator.to, "{ask}").unwrap();
        let mut answer = String::new();
        operator.from.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{service}.{call}: the operator is gone"))
    }

    /// The same as the account's root, who may do everything.
    pub(crate) fn try_in(&self, region: &str, service: &str, call: &str, args: Value) -> Value {
        self.call_with(("test", "test"), region, service, call, args)
    }

    /// The same in the usual region; must succeed.
    pub(crate) fn call(&self, service: &str, call: &str, args: Value) -> Value {
        let answer = self.try_in(REGION, service, call, args);
        assert!(answer.get("error").is_none(), "{service}.{call}: {answer}");
        answer
    }

    /// A user with keys, who may do `actions` on everything.
    pub(crate) fn user(&self, actions: &[&str]) -> Keys {
        let user = unique("user");
        self.call("iam", "create_user", json!({"UserName": user}));
        if !actions.is_empty() {
            let policy = policy("Allow", actions).to_string();
            let args = json!({"UserName": user, "PolicyName": "it", "PolicyDocument": policy});
            self.call("iam", "put_user_policy", args);
        }
        let made = self.call("iam", "create_access_key", json!({"UserName": user}));
        let text = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
        Keys { user, id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: None }
    }

    /// A role that may do `actions` on everything, and is assumed as the statement `trust` allows. Its ARN.
    pub(crate) fn role(&self, actions: &[&str], trust: &Value) -> String {
        let role = unique("role");
        let document = json!({"Version": "2012-10-17", "Statement": [trust]}).to_string();
        let made =
            self.call("iam", "create_role", json!({"RoleName": role, "AssumeRolePolicyDocument": document}));
        let document = policy("Allow", actions).to_string();
        let args = json!({"RoleName": role, "PolicyName": "it", "PolicyDocument": document});
        self.call("iam", "put_role_policy", args);
        made["Role"]["Arn"].as_str().unwrap().to_owned()
    }

    /// Keys of a session of that role, which lasts so many seconds.
    pub(crate) fn session(&self, role: &str, by: &Keys, seconds: u32) -> Keys {
        let args = json!({"RoleArn": role, "RoleSessionName": "it", "DurationSeconds": seconds});
        let made = self.call_with((&by.id, &by.secret), REGION, "sts", "assume_role", args);
        let text =
            |name: &str| made["Credentials"][name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let token = Some(text("SessionToken"));
        Keys { user: by.user.clone(), id: text("AccessKeyId"), secret: text("SecretAccessKey"), token }
    }

    /// Stores a secret, over what was there. Its ARN.
    pub(crate) fn put_secret(&self, region: &str, name: &str, value: &[u8]) -> String {
        use base64::Engine;
        let (field, value) = match std::str::from_utf8(value) {
            Ok(text) => ("SecretString", json!(text)),
            Err(_) => {
                ("SecretBinary", json!({"base64": base64::engine::general_purpose::STANDARD.encode(value)}))
            }
        };
        for _ in 0..3 {
            let stored = self.try_in(
                region,
                "secretsmanager",
                "put_secret_value",
                json!({"SecretId": name, field: value}),
            );
            if let Some(arn) = stored["ARN"].as_str() {
                return arn.to_owned();
            }
            // Another test may be faster.
            let made =
                self.try_in(region, "secretsmanager", "create_secret", json!({"Name": name, field: value}));
            if let Some(arn) = made["ARN"].as_str() {
                return arn.to_owned();
            }
        }
        panic!("{name} cannot be stored")
    }
}

fn policy(effect: &str, actions: &[&str]) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": actions, "Resource": "*"}]})
}

impl Keys {
    /// The file of these keys, in `directory`.
    pub(crate) fn write(&self, directory: &Path) -> String {
        let file = directory.join(unique("keys"));
        crate::process::write_private(&file, self.lines());
        file.display().to_string()
    }

    pub(crate) fn lines(&self) -> String {
        let token =
            self.token.as_ref().map(|token| format!("aws_session_token = {token}\n")).unwrap_or_default();
        format!(
            "# {}\naws_access_key_id = {}\naws_secret_access_key = {}\n{token}",
            self.user, self.id, self.secret
        )
    }

    /// Read again from such a file.
    pub(crate) fn read(file: &str) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
        Self {
            user: after("# "),
            id: after("aws_access_key_id = "),
            secret: after("aws_secret_access_key = "),
            token: None,
        }
    }
}
