//! The ends of the help texts: what to type. `cli/tests/guides.rs` tries each of them.

pub(crate) const START: &str = "\
Start here:
  heapster standalone              watch this machine, then open http://127.0.0.1:8082/
  heapster help standalone         what else it can do";

pub(crate) const STANDALONE: &str = "\
Examples:
  This machine, every 5 seconds
    heapster standalone --resolution 5s
  and into InfluxDB
    heapster standalone --sink 'influxdb:http://127.0.0.1:8086?db=k8s'
  The cAdvisor on this machine
    heapster standalone --source cadvisor:http://127.0.0.1:8080
  The cAdvisors on the hosts in a file
    heapster standalone --discovery static:hosts.json --source cadvisor
  All of it from a file
    heapster standalone --config heapster.toml";

pub(crate) const MASTER: &str = "\
Examples:
  For buddies on this machine
    heapster master --insecure
  For buddies everywhere, with what `heapster cert new keys` and `heapster token new` have made
    heapster master --tls-cert keys/master.crt --tls-key keys/master.key \\
      --credentials keys/credentials.toml --grpc-listen 0.0.0.0:8085
  Into InfluxDB, which has to have each sample
    heapster master --insecure \\
      --sink 'influxdb:http://127.0.0.1:8086?db=k8s&required=true'
  Polls hosts itself that buddies only find
    heapster master --insecure --poll";

pub(crate) const BUDDY: &str = "\
Examples:
  The machine that it runs on, and a master with a certificate
    heapster buddy --master https://HOST:8085 --master-ca keys/ca.crt \\
      --token-file lab.token --cluster lab
  The same in plain text
    heapster buddy --insecure --master http://HOST:8085 --cluster lab
  The cAdvisors on the hosts in a file
    heapster buddy --insecure --master http://HOST:8085 --cluster lab \\
      --discovery static:hosts.json
  One more buddy, to share the hosts of a large cluster
    heapster buddy --insecure --master http://HOST:8085 --cluster lab --role polls";

pub(crate) const CHECK: &str = "\
Examples:
  heapster check heapster.toml
  heapster check heapster.toml --as buddy";

pub(crate) const CONFORMANCE: &str = "\
Examples:
  heapster conformance buddy --command './my-buddy {address} {cluster}'
  heapster conformance master --endpoint http://HOST:8085";

pub(crate) const CONFORMANCE_BUDDY: &str = "\
Examples:
  A buddy that takes HOST:PORT
    heapster conformance buddy --command './my-buddy {address} {cluster}'
  The same, and whether it keeps strangers out: a master by TLS that asks for a token
    heapster conformance buddy --tls token \\
      --command './my-buddy {address} {cluster} --ca {ca} --token-file {token_file}'
  Heapster's own
    heapster conformance buddy \\
      --command 'heapster buddy --insecure --master {master} --cluster {cluster}'";

pub(crate) const CONFORMANCE_MASTER: &str = "\
Examples:
  heapster conformance master --endpoint http://HOST:8085
  heapster conformance master --endpoint https://HOST:8085 --master-ca ca.crt \\
    --token-file conformance.token";

pub(crate) const TOKEN_NEW: &str = "\
Examples:
  For the buddies of the cluster lab, into a file that they are given
    heapster token new prod --cluster prod --token-file prod.token
  For those that only poll, in all clusters of a region
    heapster token new pollers --cluster 'eu-*' --role polls
  For a dashboard
    heapster token new grafana --access read";

pub(crate) const CERT_NEW: &str = "\
Examples:
  heapster cert new certificates --host heapster.example
  heapster cert new certificates --host heapster.example --host 10.0.0.7 --force";

pub(crate) const CERT_BUDDY: &str = "\
Examples:
  heapster cert buddy certificates --name lab --cluster lab";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  heapster completions bash > /etc/bash_completion.d/heapster
  heapster completions zsh > ~/.zfunc/_heapster
  heapster completions fish > ~/.config/fish/completions/heapster.fish";
