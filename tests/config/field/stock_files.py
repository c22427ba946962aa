"""heat.conf as the templates of deployment tools render it, with addresses, names and passwords replaced.

Sources: kolla-ansible (roles/heat), openstack-ansible-os_heat, charm-heat (yoga), openstack-helm (heat),
heat-operator (00-default.conf) and Heat's own devstack plugin.
"""

KOLLA = """\
[DEFAULT]
debug = False
log_dir = /var/log/kolla/heat
log_file = $log_dir/heat-engine.log
heat_metadata_server_url = http://10.0.0.250:8000
heat_waitcondition_server_url = http://10.0.0.250:8000/v1/waitcondition
heat_stack_user_role = heat_stack_user
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = example
stack_user_domain_name = heat_user_domain
num_engine_workers = 5
transport_url = rabbit://openstack:example@10.0.0.21:5672,openstack:example@10.0.0.22:5672//
region_name_for_services = RegionOne
server_keystone_endpoint_type = public
[database]
connection = mysql+pymysql://heat:example@10.0.0.250:3306/heat
connection_recycle_time = 10
max_pool_size = 1
max_retries = -1
[keystone_authtoken]
service_type = orchestration
www_authenticate_uri = http://10.0.0.250:5000
auth_url = http://10.0.0.250:5000
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = heat
password = example
cafile = /etc/ssl/certs/ca-certificates.crt
region_name = RegionOne
memcache_security_strategy = ENCRYPT
memcache_secret_key = example
memcached_servers = 10.0.0.21:11211,10.0.0.22:11211
[cache]
backend = oslo_cache.memcache_pool
enabled = True
memcache_servers = 10.0.0.21:11211,10.0.0.22:11211
[trustee]
auth_url = http://10.0.0.250:5000
auth_type = password
user_domain_id = default
username = heat
password = example
[ec2authtoken]
auth_uri = http://10.0.0.250:5000
[oslo_messaging_notifications]
transport_url = rabbit://openstack:example@10.0.0.21:5672//
driver = noop
[oslo_messaging_rabbit]
heartbeat_in_pthread = False
ssl = true
ssl_ca_file = /etc/ssl/certs/ca-certificates.crt
amqp_durable_queues = true
rabbit_quorum_queue = true
[oslo_policy]
policy_file = policy.yaml
[clients]
endpoint_type = internalURL
ca_file = /etc/ssl/certs/ca-certificates.crt
[oslo_middleware]
enable_proxy_headers_parsing = True
[profiler]
enabled = true
trace_sqlalchemy = true
hmac_keys = example
connection_string = redis://10.0.0.21:6379
"""

OPENSTACK_ANSIBLE = """\
[DEFAULT]
use_stderr = False
debug = False
fatal_deprecations = False
use_journal = True
stack_domain_admin_password = example
stack_domain_admin = stack_domain_admin
stack_user_domain_name = heat
max_nested_stack_depth = 5
heat_waitcondition_server_url = http://10.0.0.250:8000/v1/waitcondition
heat_metadata_server_url = http://10.0.0.250:8000
server_keystone_endpoint_type = public
trusts_delegated_roles =
auth_encryption_key = 0123456789abcdef0123456789abcdef
num_engine_workers = 2
transport_url = rabbit://heat:example@10.0.0.21:5671//heat?ssl=1&ssl_version=TLSv1_2&ssl_ca_file=/etc/ssl/ca.pem
plugin_dirs = /usr/lib/heat,/usr/local/lib/heat
region_name_for_services = RegionOne
default_software_config_transport = POLL_SERVER_HEAT
default_deployment_signal_transport = HEAT_SIGNAL
[clients]
endpoint_type = internalURL
[clients_heat]
endpoint_type = publicURL
[clients_keystone]
insecure = False
endpoint_type = internalURL
auth_uri = http://10.0.0.250:5000
[database]
connection = mysql+pymysql://heat:example@10.0.0.250:3306/heat?charset=utf8
max_overflow = 50
max_pool_size = 5
pool_timeout = 30
connection_recycle_time = 600
[ec2authtoken]
insecure = False
auth_type = password
auth_url = http://10.0.0.250:5000
project_domain_id = default
user_domain_id = default
project_name = service
username = heat
password = example
region_name = RegionOne
auth_uri = http://10.0.0.250:5000
valid_interfaces = internalURL
[oslo_messaging_rabbit]
ssl = True
rabbit_quorum_queue = True
rabbit_transient_quorum_queue = True
rabbit_qos_prefetch_count = 10
use_queue_manager = True
hostname = infra1-heat
rabbit_stream_fanout = True
rabbit_quorum_delivery_limit = 0
rabbit_quorum_max_memory_bytes = 0
[oslo_middleware]
enable_proxy_headers_parsing = True
[oslo_messaging_notifications]
driver = noop
transport_url = rabbit://heat:example@10.0.0.21:5671//heat?ssl=1
[profiler]
enabled = False
trace_sqlalchemy = False
[keystone_authtoken]
insecure = False
auth_type = password
auth_url = http://10.0.0.250:5000
www_authenticate_uri = http://10.0.0.250:5000
project_domain_id = default
user_domain_id = default
project_name = service
username = heat
password = example
region_name = RegionOne
endpoint_type = internalURL
service_token_roles_required = True
service_token_roles = service
service_type = orchestration
memcached_servers = 10.0.0.21:11211
token_cache_time = 300
memcache_security_strategy = ENCRYPT
memcache_secret_key = example
[trustee]
insecure = False
auth_type = password
auth_url = http://10.0.0.250:5000
user_domain_id = default
username = heat
password = example
[volumes]
backups_enabled = False
"""

CHARM = """\
[DEFAULT]
use_syslog = False
debug = False
verbose = False
log_dir = /var/log/heat
instance_user = ec2-user
instance_driver = heat.engine.nova
plugin_dirs = /usr/lib64/heat,/usr/lib/heat
environment_dir = /etc/heat/environment.d
host = heat
auth_encryption_key = 0123456789abcdef0123456789abcdef
deferred_auth_method = trusts
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = example
stack_user_domain_name = heat
num_engine_workers = 4
transport_url = rabbit://heat:example@10.0.0.21:5672/openstack
[keystone_authtoken]
auth_type = password
auth_uri = http://10.0.0.250:5000/v3
auth_url = http://10.0.0.250:35357/v3
project_domain_name = service_domain
user_domain_name = service_domain
project_name = services
username = heat
password = example
[trustee]
auth_plugin = password
auth_url = http://10.0.0.250:35357
username = heat
password = example
user_domain_name = default
[clients_keystone]
auth_uri = http://10.0.0.250:5000
[ec2_authtoken]
auth_uri = http://10.0.0.250:5000
keystone_ec2_uri = http://10.0.0.250:5000/v2.0/ec2tokens
[database]
connection = mysql+pymysql://heat:example@10.0.0.250/heat
[paste_deploy]
api_paste_config = /etc/heat/api-paste.ini
[heat_api]
bind_host = 0.0.0.0
bind_port = 7994
workers = 4
[heat_api_cfn]
bind_host = 0.0.0.0
bind_port = 7990
workers = 4
[oslo_messaging_rabbit]
rabbit_ha_queues = True
rabbit_durable_queues = False
[clients]
endpoint_type = internalURL
[oslo_middleware]
enable_proxy_headers_parsing = true
"""

HELM = """\
[DEFAULT]
log_config_append = /etc/heat/logging.conf
num_engine_workers = 1
trusts_delegated_roles =
host = heat-engine
transport_url = rabbit://heat:example@rabbitmq.openstack.svc.cluster.local:5672/heat
[keystone_authtoken]
auth_type = password
auth_version = v3
memcache_security_strategy = ENCRYPT
service_type = orchestration
[database]
max_retries = -1
connection = mysql+pymysql://heat:example@mariadb.openstack.svc.cluster.local/heat
[trustee]
auth_type = password
auth_version = v3
[heat_api]
bind_port = 8004
workers = 1
[paste_deploy]
api_paste_config = /etc/heat/api-paste.ini
[clients]
endpoint_type = internalURL
[clients_keystone]
endpoint_type = internalURL
[oslo_messaging_notifications]
driver = messagingv2
[oslo_middleware]
enable_proxy_headers_parsing = true
[oslo_messaging_rabbit]
rabbit_ha_queues = false
amqp_durable_queues = true
rabbit_quorum_queue = true
rabbit_transient_quorum_queue = true
use_queue_manager = true
[oslo_policy]
policy_file = /etc/heat/policy.yaml
[oslo_concurrency]
lock_path = /var/lock
"""

HEAT_OPERATOR = """\
[DEFAULT]
region_name_for_services = regionOne
num_engine_workers = 4
use_stderr = true
transport_url = rabbit://u:example@rabbitmq.openstack.svc:5671/?ssl=1
default_deployment_signal_transport = HEAT_SIGNAL
[cache]
backend = oslo_cache.memcache_pool
memcache_servers = memcached-0.memcached.openstack.svc:11211
memcache_socket_timeout = 0.5
memcache_pool_connection_get_timeout = 1
tls_certfile = /etc/pki/tls/certs/mtls.crt
enabled = true
tls_enabled = true
memcache_dead_retry = 30
[database]
connection = mysql+pymysql://heat:example@openstack.openstack.svc/heat
max_retries = -1
db_max_retries = -1
mysql_wsrep_sync_wait = 1
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
rabbit_transient_quorum_queue = true
amqp_durable_queues = true
[ec2authtoken]
auth_uri = https://keystone-internal.openstack.svc:5000/v3/ec2tokens
[oslo_policy]
enforce_scope = True
enforce_new_defaults = True
[trustee]
auth_url = https://keystone-internal.openstack.svc:5000
auth_type = v3applicationcredential
application_credential_id = example
application_credential_secret = example
[resource_finder_cache]
caching = False
[keystone_authtoken]
www_authenticate_uri = https://keystone-internal.openstack.svc:5000
auth_type = v3applicationcredential
application_credential_id = example
application_credential_secret = example
memcache_use_advanced_pool = True
memcached_servers = memcached-0.memcached.openstack.svc:11211
interface = internal
memcache_tls_enabled = true
[clients]
endpoint_type = internal
"""

DEVSTACK = """\
[DEFAULT]
transport_url = rabbit://stackrabbit:example@10.0.0.21:5672/
auth_encryption_key = 767c3ed056cbaa3b9dfedb8c6f825bf0
logging_exception_prefix = ERROR %(name)s %(instance)s
stack_user_domain_id = 0123
enable_stack_adopt = true
[clients_heat]
url = http://10.0.0.21:8004/v1/%(tenant_id)s
[cache]
enabled = True
backend = dogpile.cache.memory
[volumes]
backups_enabled = false
[clients_nova]
ca_file = /opt/stack/data/ca-bundle.pem
"""
