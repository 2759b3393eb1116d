/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which key the node encrypts with. */
#pragma once

#include "types.h"

struct encrypt_config {
	__u8 encrypt_key;
};
