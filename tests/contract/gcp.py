"""Google's Secret Manager over REST, on the messages of Google's own package, and who gives tokens for it.

usage: gcp.py PORT

Where Google's documentation says how the real one answers, this one does: names and states of versions, aliases, sums, the
form of errors. A token is a signed one of a service account whose key is known here (`/_account`), or one that this server
has given out: for a refresh token (`/token`), for a token of somebody else (`/sts`), in another's name
(`...:generateAccessToken`), for this machine (`/computeMetadata/v1/...`). `/_...` is for the tests.
"""

import base64
import http.server
import json
import re
import secrets
import sys
import threading
import time
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from google.cloud import secretmanager_v1 as sm
from google.protobuf import json_format, timestamp_pb2

State = sm.SecretVersion.State
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"

lock = threading.RLock()
stored = {}  # resource -> sm.Secret
versions = {}  # resource -> [(sm.SecretVersion, bytes)]
accounts = {}  # email -> public key
tokens = {}  # token -> who it is for
subjects = {}  # token of somebody else -> who it is for
refreshes = {}  # refresh token -> who it is for
blind = set()  # who may not see how versions and secrets are, only read values
without_rights = set()
spoilt = set()  # resources whose sum does not fit
asked = []  # all requests, as "METHOD path who"


class Refusal(Exception):
    def __init__(self, code, status, message, reason=None):
        super().__init__(message)
        self.code = code
        error = {"code": code, "message": message, "status": status}
        if reason:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
        self.body = {"error": error}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def now():
    stamp = timestamp_pb2.Timestamp()
    stamp.GetCurrentTime()
    return stamp


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signed_by(token):
    """Who a signed token is of, if the signature and the claims hold (AIP-4111)."""
    head, claims, signature = token.split(".")
    header, said = json.loads(decoded(head)), json.loads(decoded(claims))
    key = accounts[said["iss"]]
    key.verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    ours = SCOPE in (said.get("scope") or "").split()
    timely = said["iat"] - 300 < time.time() < said["exp"] <= said["iat"] + 3700
    if header["alg"] != "RS256" or said["sub"] != said["iss"] or not ours or not timely:
        raise ValueError
    return said["iss"]


def who(header):
    kind, _, token = (header or "").partition(" ")
    if kind == "Bearer":
        if token in tokens:
            return tokens[token]
        try:
            return signed_by(token)
        except (ValueError, KeyError, InvalidSignature):
            pass
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    raise Refusal(401, "UNAUTHENTICATED", message, "ACCESS_TOKEN_TYPE_UNSUPPORTED")


def give(whose):
    token = "ya29." + secrets.token_urlsafe(24)
    tokens[token] = whose
    return token


def secret(resource):
    if resource not in stored:
        raise Refusal(404, "NOT_FOUND", f"Secret [{resource}] not found.")
    return stored[resource]


def version(resource, name):
    of, known = secret(resource), versions[resource]
    if name == "latest":
        name = str(len(known))
    name = str(of.version_aliases.get(name, name))
    if not name.isdigit() or not 0 < int(name) <= len(known):
        raise Refusal(404, "NOT_FOUND", f"Secret Version [{resource}/versions/{name}] not found.")
    return known[int(name) - 1]


def put(resource, data, labels, annotations, aliases, expires):
    if resource not in stored:
        stored[resource] = sm.Secret(name=resource, create_time=now())
        versions[resource] = []
    of = stored[resource]
    of.labels.update(labels)
    of.annotations.update(annotations)
    of.version_aliases.update(aliases)
    if expires:
        of.expire_time = timestamp_pb2.Timestamp(seconds=int(expires))
    if data is not None:
        name = f"{resource}/versions/{len(versions[resource]) + 1}"
        made = sm.SecretVersion(name=name, create_time=now(), state=State.ENABLED)
        versions[resource].append((made, data))


def message(of):
    return json.loads(json_format.MessageToJson(type(of).pb(of)))


def permit(caller, permission, resource):
    refused = without_rights if permission.endswith("access") else without_rights | blind
    if caller in refused:
        told = f"Permission '{permission}' denied for resource '{resource}' (or it may not exist)."
        raise Refusal(403, "PERMISSION_DENIED", told, "IAM_PERMISSION_DENIED")


RESOURCE = r"(projects/[^/]+(?:/locations/[^/]+)?/secrets/[^/:]+)"


def secret_manager(path, caller, query):
    if re.match(r"projects/(no-such-project|666)/", path):
        told = "Permission denied on resource project."
        raise Refusal(403, "PERMISSION_DENIED", told, "CONSUMER_INVALID")
    if path.startswith("projects/switched-off/"):
        told = "Secret Manager API has not been used in project before or it is disabled."
        raise Refusal(403, "PERMISSION_DENIED", told, "SERVICE_DISABLED")
    if found := re.fullmatch(RESOURCE + r"/versions/([^/:]+):access", path):
        resource, name = found.groups()
        permit(caller, "secretmanager.versions.access", resource)
        made, data = version(resource, name)
        if made.state != State.ENABLED:
            told = f"Secret Version [{made.name}] is in {made.state.name} state."
            raise Refusal(400, "FAILED_PRECONDITION", told)
        sum_ = crc32c(data) ^ (resource in spoilt)
        payload = sm.SecretPayload(data=data, data_crc32c=sum_)
        return message(sm.AccessSecretVersionResponse(name=made.name, payload=payload))
    if found := re.fullmatch(RESOURCE + r"/versions/([^/:]+)", path):
        permit(caller, "secretmanager.versions.get", found[1])
        return message(version(*found.groups())[0])
    if found := re.fullmatch(RESOURCE, path):
        permit(caller, "secretmanager.secrets.get", found[1])
        return message(secret(found[1]))
    if found := re.fullmatch(r"(projects/[^/]+(?:/locations/[^/]+)?)/secrets", path):
        permit(caller, "secretmanager.secrets.list", found[1])
        of = [one for name, one in stored.items() if name.startswith(found[1] + "/secrets/")]
        asked = dict(urllib.parse.parse_qsl(query))
        token = asked.get("pageToken", "=0")
        if not token.startswith("=") or int(asked.get("pageSize", 0)) < 1:
            raise Refusal(400, "INVALID_ARGUMENT", "Invalid page.")
        # Of a page there may be less than was asked for.
        start, end = int(token[1:]), int(token[1:]) + min(int(asked["pageSize"]), 3)
        more = {"next_page_token": f"={end}"} if end < len(of) else {}
        listed = message(sm.ListSecretsResponse(secrets=of[start:end], total_size=len(of), **more))
        if asked.get("fields") == "secrets/name,nextPageToken":
            listed.pop("totalSize", None)
            listed["secrets"] = [{"name": one["name"]} for one in listed.get("secrets", [])]
            listed = {name: value for name, value in listed.items() if value}
        return listed
    raise Refusal(400, "INVALID_ARGUMENT", "Invalid resource field value in the request.")


def granted(whose, **more):
    return {"access_token": give(whose), "expires_in": 3599, "token_type": "Bearer", **more}


def oauth(code, error):
    refusal = Refusal(code, "", "")
    refusal.body = {"error": error, "error_description": "Bad Request"}
    return refusal


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        body = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            try:
                self.answer(200, self.of(path, url.query, body))
            except Refusal as refusal:
                self.answer(refusal.code, refusal.body)

    do_GET = do_POST = handle_one

    def of(self, path, query, body):
        if path.startswith("/_"):
            return self.of_tests(path, json.loads(body or b"null"))
        if path.startswith("/computeMetadata/v1/"):
            asked.append(f"{self.command} {path}")
            if self.headers.get("Metadata-Flavor") != "Google":
                raise Refusal(403, "PERMISSION_DENIED", "Missing Metadata-Flavor:Google header.")
            if path.endswith("/instance/service-accounts/default/token"):
                return granted("machine@example.iam.gserviceaccount.com")
            raise Refusal(404, "NOT_FOUND", "")
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        if path == "/token":
            asked.append(f"POST {path}")
            if form.get("grant_type") != "refresh_token" or form.get("client_secret") != "hush":
                raise oauth(401, "invalid_client")
            if form.get("refresh_token") not in refreshes:
                raise oauth(400, "invalid_grant")
            return granted(refreshes[form["refresh_token"]])
        if path == "/sts":
            asked.append(f"POST {path}")
            if form.get("grant_type") != GRANT or form.get("scope") != SCOPE:
                raise oauth(400, "invalid_request")
            if "/workloadIdentityPools/pool/" not in form.get("audience", ""):
                raise oauth(400, "invalid_target")
            token = form.get("subject_token", "")
            if form.get("subject_token_type", "").endswith(":aws4_request"):
                token = self.of_aws(token, form["audience"])
            if token not in subjects:
                raise oauth(400, "invalid_grant")
            kind = "urn:ietf:params:oauth:token-type:access_token"
            return granted(subjects[token], issued_token_type=kind)
        if path == "/subject":
            asked.append(f"GET {path}")
            if self.headers.get("X-From") != "tests":
                raise Refusal(400, "", "")
            return {"jwt": "subject-by-url"}
        caller = who(self.headers.get("Authorization"))
        asked.append(f"{self.command} {path} {caller} {self.headers.get('X-Goog-User-Project', '')}".strip())
        if found := re.fullmatch(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken", path):
            if caller in without_rights or json.loads(body)["scope"] != [SCOPE]:
                raise Refusal(403, "PERMISSION_DENIED", "", "IAM_PERMISSION_DENIED")
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3599))
            return {"accessToken": give(found[1]), "expireTime": until}
        return secret_manager(path.removeprefix("/v1/"), caller, query)

    def of_aws(self, token, audience):
        """The name that a signed request for GetCallerIdentity would have given; its signature is AWS's to check."""
        request = json.loads(urllib.parse.unquote(token))
        headers = {one["key"].lower(): one["value"] for one in request["headers"]}
        if headers["x-goog-cloud-target-resource"] != audience or "Action=GetCallerIdentity" not in request["url"]:
            raise oauth(400, "invalid_grant")
        return re.search("Credential=([A-Z0-9]+)/", headers["authorization"])[1]

    def of_tests(self, path, body):
        if path == "/_put":
            data = body.get("data")
            more = [body.get(name, {}) for name in ("labels", "annotations", "aliases")]
            put(body["resource"], data if data is None else base64.b64decode(data), *more, body.get("expires"))
        elif path == "/_account":
            accounts[body["email"]] = serialization.load_pem_public_key(body["key"].encode())
        elif path == "/_subject":
            subjects[body["token"]] = body["who"]
        elif path == "/_refresh":
            refreshes[body["token"]] = body["who"]
        elif path == "/_forget":
            whose = body["who"]
            accounts.pop(whose, None)
            for known in (tokens, subjects, refreshes):
                for token in [token for token, of in known.items() if of == whose]:
                    del known[token]
        elif path == "/_forget_tokens":
            tokens.clear()
        elif path == "/_blind":
            blind.add(body["who"])
        elif path == "/_without_rights":
            without_rights.add(body["who"])
        elif path == "/_state":
            made, _ = version(body["resource"], body["version"])
            made.state = State[body["state"]]
        elif path == "/_spoil":
            spoilt.add(body["resource"])
        elif path == "/_asked":
            return asked
        else:
            raise Refusal(404, "NOT_FOUND", path)
        return {}


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
