/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why a packet went no further. Library functions return these negative codes; metrics and
 * notifications carry them as positive numbers. The numbers are Cilium's.
 */
#pragma once

enum drop_reason {
	DROP_INVALID_SIP = -132,
	DROP_POLICY = -133,
	DROP_INVALID = -134,
	DROP_CT_INVALID_HDR = -135,
	DROP_CT_UNKNOWN_PROTO = -137,
	DROP_UNKNOWN_L3 = -139,
	DROP_MISSED_TAIL_CALL = -140,
	DROP_WRITE_ERROR = -141,
	DROP_UNKNOWN_L4 = -142,
	DROP_UNKNOWN_TARGET = -150,
	DROP_CSUM_L3 = -153,
	DROP_CSUM_L4 = -154,
	DROP_CT_CREATE_FAILED = -155,
	DROP_INVALID_EXTHDR = -156,
	DROP_FRAG_NOSUPPORT = -157,
	DROP_NO_SERVICE = -158,
	DROP_UNKNOWN_CT = -163,
	DROP_UNSUPPORTED_L2 = -166,
	DROP_NO_FIB = -169,
	DROP_FRAG_NOT_FOUND = -175,
	DROP_POLICY_DENY = -181,
	DROP_INVALID_TC_BUFFER = -184,
	DROP_POLICY_AUTH_REQUIRED = -189,
	DROP_TTL_EXCEEDED = -196,
	DROP_NO_NODE_ID = -197,
	DROP_RATE_LIMITED = -198,
	DROP_EP_NOT_READY = -203,
};

/* What metrics count besides drops. */
enum metric_reason {
	REASON_FORWARDED = 0,
	REASON_PLAINTEXT = 3,
	REASON_FRAG_PACKET = 9,
	REASON_FRAG_PACKET_UPDATE = 10,
};

#define IS_ERR(code) (unlikely((code) < 0))
