/* SPDX-License-Identifier: Apache-2.0 */
#include "util/limits.h"

struct limits limits = {.file_bytes = LIMIT_FILE_BYTES,
                        .encoded_bytes = LIMIT_ENCODED_BYTES,
                        .json_depth = LIMIT_JSON_DEPTH,
                        .json_values = LIMIT_JSON_VALUES};
