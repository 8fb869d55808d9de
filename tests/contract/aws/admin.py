"""Does at a server what its operator would: one call of boto3 for each line on standard input, its result as a line."""
import base64
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

endpoint = sys.argv[1]
clients = {}


def client(service, region, keys):
    name = (service, region, tuple(keys))
    if name not in clients:
        clients[name] = boto3.client(
            service, endpoint_url=endpoint, region_name=region, aws_access_key_id=keys[0], aws_secret_access_key=keys[1],
            config=Config(retries={"max_attempts": 1}, parameter_validation=False))
    return clients[name]


def readable(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


for line in sys.stdin:
    ask = json.loads(line)
    args = {name: base64.b64decode(value["base64"]) if isinstance(value, dict) and "base64" in value else value
            for name, value in ask["args"].items()}
    try:
        answer = getattr(client(ask["service"], ask["region"], ask["keys"]), ask["call"])(**args)
    except ClientError as error:
        answer = {"error": error.response["Error"]["Code"]}
    except BotoCoreError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer, default=readable), flush=True)
