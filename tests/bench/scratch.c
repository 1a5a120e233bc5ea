/* See the header. */
#include "tests/bench/scratch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "storage/store_lmdb.h"

void scratch_open(struct scratch *s)
{
    const struct store_lmdb_options options = {.map_bytes = (uint64_t)64 << 20, .index_seed = 1};
    const char *below = getenv("TMPDIR");
    char path[300];
    snprintf(s->folder, sizeof s->folder, "%s/holdfast-bench-XXXXXX",
             below != NULL ? below : "/tmp");
    HF_ASSERT(mkdtemp(s->folder) != NULL);
    snprintf(path, sizeof path, "%s/store", s->folder);
    HF_ASSERT(store_lmdb_create(path, &options) == HF_OK);
    HF_ASSERT(store_lmdb_open(path, &options, &s->store) == HF_OK);
}

void scratch_close(struct scratch *s)
{
    char command[300];
    store_close(s->store);
    snprintf(command, sizeof command, "rm -rf -- '%s'", s->folder);
    HF_ASSERT(system(command) == 0);
}
