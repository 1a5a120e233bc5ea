/* The log: entries into a group, and the group into its blocks; the disk is one in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "raft/wal.h"
#include "tests/bench/layers.h"
#include "tests/sim/disk.h"

enum { SEGMENT_BYTES = 64 << 20, ENTRY_BYTES = 256, ENTRIES_A_GROUP = 16, HELD_BYTES = 1 << 20 };

struct log {
    struct sim_disk disk;
    struct wal *wal;
    struct entries entries;
};

static void *make(void)
{
    static const struct wal_config config = {
        .cluster_id = "one cluster id.", .segment_bytes = SEGMENT_BYTES, .may_create = true};
    struct log *l = calloc(1, sizeof *l);
    struct refusal why;
    HF_ASSERT(l != NULL);
    sim_disk_init(&l->disk, 1);
    entries_init(&l->entries, 1, HELD_BYTES);
    HF_ASSERT(wal_open(&l->disk.disk, &config, 1, 0, &l->entries, &l->wal, &why) == HF_OK);
    HF_ASSERT(wal_run_all(l->wal) == HF_OK);
    return l;
}

static void take_down(void *state)
{
    struct log *l = state;
    wal_close(l->wal);
    entries_close(&l->entries);
    sim_disk_close(&l->disk);
    free(l);
}

static void append(void *state, unsigned count)
{
    struct log *l = state;
    uint8_t data[ENTRY_BYTES];
    memset(data, 7, sizeof data);
    for (unsigned i = 0; i < count; i++) {
        const struct log_entry entry = {.index = wal_last_index(l->wal) + 1,
                                        .term = 1,
                                        .type = LOG_COMMAND,
                                        .data = slice_make(data, sizeof data)};
        HF_ASSERT(wal_append(l->wal, &entry) == HF_OK);
        if (i % ENTRIES_A_GROUP == ENTRIES_A_GROUP - 1) {
            HF_ASSERT(wal_run_all(l->wal) == HF_OK);
            entries_trim(&l->entries, wal_last_index(l->wal));
        }
    }
}

const struct layer layers_log[] = {
    {"log.append-256", make, append, take_down},
    {0},
};
