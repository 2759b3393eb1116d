/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps with the BTF that releases of Cilium gave them: names of fields and where they lie. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define MAP(map, map_type, key_type, value_type)                                              \
	struct {                                                                              \
		__uint(type, map_type);                                                       \
		__type(key, struct key_type);                                                 \
		__type(value, struct value_type);                                             \
		__uint(max_entries, 1);                                                       \
		__uint(map_flags, map_type == BPF_MAP_TYPE_LPM_TRIE ? BPF_F_NO_PREALLOC : 0); \
	} map SEC(".maps")

struct ct_key {
	__be32 daddr, saddr;
	__be16 dport, sport;
	__u8 nexthdr, flags;
} __attribute__((packed));

struct ct_1_12 {
	__u64 rx_packets, rx_bytes, tx_packets, tx_bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, nat46 : 1, lb_loopback : 1, seen_non_syn : 1,
		node_port : 1, proxy_redirect : 1, dsr : 1, from_l7lb : 1, reserved : 7;
	__u16 rev_nat_index, ifindex;
	__u8 tx_flags_seen, rx_flags_seen;
	__u32 src_sec_id, last_tx_report, last_rx_report;
};

struct ct_1_16 {
	__u64 reserved0, backend_id, packets, bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, reserved1 : 1, lb_loopback : 1, seen_non_syn : 1,
		node_port : 1, proxy_redirect : 1, dsr_internal : 1, from_l7lb : 1, reserved2 : 1,
		from_tunnel : 1, reserved3 : 5;
	__u16 rev_nat_index, ifindex;
	__u8 tx_flags_seen, rx_flags_seen;
	__u32 src_sec_id, last_tx_report, last_rx_report;
};

struct ct_1_18 {
	__u64 reserved0, backend_id, packets, bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, reserved1 : 1, lb_loopback : 1, seen_non_syn : 1,
		node_port : 1, proxy_redirect : 1, dsr_internal : 1, from_l7lb : 1, reserved2 : 1,
		from_tunnel : 1, reserved3 : 5;
	__u16 rev_nat_index, reserved4;
	__u8 tx_flags_seen, rx_flags_seen;
	__u32 src_sec_id, last_tx_report, last_rx_report;
};

struct ct_1_19 {
	union {
		struct {
			__u64 reserved0, backend_id;
		};
		__u8 nat_addr[16];
	};
	__u64 packets, bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, reserved1 : 1, lb_loopback : 1, seen_non_syn : 1,
		node_port : 1, proxy_redirect : 1, dsr_internal : 1, from_l7lb : 1, reserved2 : 1,
		from_tunnel : 1, reserved3 : 5;
	__u16 rev_nat_index, nat_port;
	__u8 tx_flags_seen, rx_flags_seen;
	__u32 src_sec_id, last_tx_report, last_rx_report;
};

MAP(ct_v1_12, BPF_MAP_TYPE_HASH, ct_key, ct_1_12);
MAP(ct_v1_16, BPF_MAP_TYPE_HASH, ct_key, ct_1_16);
MAP(ct_v1_18, BPF_MAP_TYPE_HASH, ct_key, ct_1_18);
MAP(ct_v1_19, BPF_MAP_TYPE_HASH, ct_key, ct_1_19);

struct prefix {
	__u32 prefixlen;
};

struct ip_key_1_12 {
	struct prefix lpm_key;
	__u16 pad1;
	__u8 pad2, family;
	__u8 ip6[16];
};

struct ip_key_1_14 {
	struct prefix lpm_key;
	__u16 pad1;
	__u8 cluster_id, family;
	__u8 ip6[16];
};

struct ip_key_1_15 {
	struct prefix lpm_key;
	__u16 cluster_id;
	__u8 pad1, family;
	__u8 ip6[16];
};

struct ip_1_12 {
	__u32 sec_label, tunnel_endpoint;
	__u8 key;
};

struct ip_1_14 {
	__u32 sec_label, tunnel_endpoint;
	__u16 node_id;
	__u8 key;
};

struct ip_1_15 {
	__u32 sec_label, tunnel_endpoint;
	__u16 pad;
	__u8 key;
};

struct ip_1_16 {
	__u32 sec_label, tunnel_endpoint;
	__u16 pad;
	__u8 key;
	__u8 flag_skip_tunnel : 1, pad2 : 7;
};

struct ip_1_18 {
	__u32 sec_identity;
	__u8 tunnel_endpoint[16];
	__u16 pad;
	__u8 key;
	__u8 flag_skip_tunnel : 1, flag_has_tunnel_ep : 1, flag_ipv6_tunnel_ep : 1, pad2 : 5;
};

struct ip_1_19 {
	__u32 sec_identity;
	__u8 tunnel_endpoint[16];
	__u16 pad;
	__u8 key;
	__u8 flag_skip_tunnel : 1, flag_has_tunnel_ep : 1, flag_ipv6_tunnel_ep : 1,
		flag_remote_cluster : 1, pad2 : 4;
};

MAP(ip_v1_12, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_12, ip_1_12);
MAP(ip_v1_14, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_14, ip_1_14);
MAP(ip_v1_15, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_15, ip_1_15);
MAP(ip_v1_16, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_15, ip_1_16);
MAP(ip_v1_18, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_15, ip_1_18);
MAP(ip_v1_19, BPF_MAP_TYPE_LPM_TRIE, ip_key_1_15, ip_1_19);

struct lxc_key_1_12 {
	__u8 ip6[16];
	__u8 family, key;
	__u16 pad5;
};

struct lxc_key_1_14 {
	__u8 ip6[16];
	__u8 family, key, cluster_id, pad;
};

struct lxc_key_1_15 {
	__u8 ip6[16];
	__u8 family, key;
	__u16 cluster_id;
};

struct lxc_1_12 {
	__u32 ifindex;
	__u16 unused, lxc_id;
	__u32 flags;
	__u64 mac, node_mac;
	__u32 pad[4];
};

struct lxc_1_14 {
	__u32 ifindex;
	__u16 unused, lxc_id;
	__u32 flags;
	__u64 mac, node_mac;
	__u32 sec_id, pad[3];
};

struct lxc_1_17 {
	__u32 ifindex;
	__u16 unused, lxc_id;
	__u32 flags;
	__u64 mac, node_mac;
	__u32 sec_id, parent_ifindex, pad[2];
};

struct lxc_1_20 {
	__u32 ifindex;
	__u16 unused, lxc_id;
	__u32 flags, rt_info;
	__u64 mac, node_mac;
	__u32 sec_id, parent_ifindex, pad[2];
};

MAP(lxc_v1_12, BPF_MAP_TYPE_HASH, lxc_key_1_12, lxc_1_12);
MAP(lxc_v1_14, BPF_MAP_TYPE_HASH, lxc_key_1_14, lxc_1_14);
MAP(lxc_v1_15, BPF_MAP_TYPE_HASH, lxc_key_1_15, lxc_1_14);
MAP(lxc_v1_17, BPF_MAP_TYPE_HASH, lxc_key_1_15, lxc_1_17);
MAP(lxc_v1_20, BPF_MAP_TYPE_HASH, lxc_key_1_15, lxc_1_20);

struct metrics_key_1_12 {
	__u8 reason;
	__u8 dir : 2, pad : 6;
	__u16 reserved[3];
};

struct metrics_key_1_16 {
	__u8 reason;
	__u8 dir : 2, pad : 6;
	__u16 line;
	__u8 file, reserved[3];
};

struct metrics_value {
	__u64 count, bytes;
};

MAP(metrics_v1_12, BPF_MAP_TYPE_PERCPU_HASH, metrics_key_1_12, metrics_value);
MAP(metrics_v1_16, BPF_MAP_TYPE_PERCPU_HASH, metrics_key_1_16, metrics_value);

/* What no release had: a name of ours at another place. */
struct ct_odd {
	__u64 lifetime;
	__u8 rest[48];
};

MAP(ct_odd_one, BPF_MAP_TYPE_HASH, ct_key, ct_odd);

char _license[] SEC("license") = "Dual BSD/GPL";
