"""Run with Heat's interpreter and a heat.conf: prints what both APIs answer, one JSON array a line."""

import json
import pathlib
import sys

import webob
from heat.common import config, messaging, wsgi
from oslo_config import cfg
from oslo_log import log
from paste import deploy

PATHS = ("/", "/versions", "/healthcheck", "/healthcheck/", "/v1", "/v1/", "/?x=1")

log.register_options(cfg.CONF)
cfg.CONF(["--config-file", sys.argv[1]], project="heat", prog="heat-api")
messaging.setup("fake://", optional=True)
wsgi.setup_paste_factories(cfg.CONF)
assert config
paste = pathlib.Path(sys.prefix, "etc/heat/api-paste.ini")
for api, name in (("rest", "heat-api"), ("cfn", "heat-api-cfn")):
    served = deploy.loadapp(f"config:{paste}", name=name)
    for method in ("GET", "HEAD", "OPTIONS"):
        for path in PATHS:
            answer = webob.Request.blank(path, method=method).get_response(served)
            print(json.dumps([api, method, path, answer.status_int]))
