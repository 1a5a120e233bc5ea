/* See the header. */
#include "tests/integration/whole_state.h"

#include <stdio.h>

#include "base/status.h"
#include "machine/invariants.h"
#include "storage/store_lmdb.h"

enum { COMPLAINT_BYTES_MAX = 4096, MAP_GIB = 64 };

static int check(struct store *store, struct buffer *complaint)
{
    struct machine *m = NULL;
    int rv = store_verify(store);
    if (rv == HF_OK) rv = machine_open(store, &m);
    if (rv == HF_OK) rv = invariants_check(m, complaint);
    machine_close(m);
    return rv;
}

bool whole_state_holds(const struct server_process *s)
{
    char path[128];
    struct store_lmdb_options options = {.map_bytes = (uint64_t)MAP_GIB << 30};
    struct store *store = NULL;
    struct buffer complaint;
    HF_ASSERT(s->pid == 0);
    buffer_init(&complaint, COMPLAINT_BYTES_MAX);
    snprintf(path, sizeof path, "%s/data/store", s->folder);
    int rv = store_lmdb_open(path, &options, &store);
    if (rv == HF_OK) rv = check(store, &complaint);
    if (rv != HF_OK)
        fprintf(stderr, "the state of %s does not hold: %s: %.*s\n", path, status_text(rv),
                (int)complaint.size, (const char *)complaint.data);
    store_close(store);
    buffer_close(&complaint);
    return rv == HF_OK;
}
