/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fault.h"

#include "util/options.h"

bool fault_unknown(const char *name, const char *const *own, size_t count, const mutations *all,
                   struct error *err)
{
    const char **names = calloc(count + all->count, sizeof *names);
    if (!names)
        return error_memory(err);
    for (size_t i = 0; i < count; i++)
        names[i] = own[i];
    for (size_t i = 0; i < all->count; i++)
        names[count + i] = all->rows[i].name;
    const char *near = nearest(name, names, count + all->count);
    error_set(err, RC_USAGE, "--fault: there is no fault '%s'", name);
    if (near)
        error_hint(err, "did you mean '%s'? --fault list names them all", near);
    else
        error_hint(err, "--fault list names them all");
    free(names);
    return false;
}
