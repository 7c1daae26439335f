# Lets Dativo's data plane make namespaces for the plugins that it confines. Ubuntu since 23.10 allows that to programs
# with a profile only. It takes nothing away: what plugins may do is decided by the data plane, more strictly.
#
#   dativo doctor --apparmor | sudo tee /etc/apparmor.d/dativo-bus
#   sudo apparmor_parser -r /etc/apparmor.d/dativo-bus

abi <abi/4.0>,
include <tunables/global>

profile dativo-bus @PATH@ flags=(unconfined) {
  userns,

  include if exists <local/dativo-bus>
}
