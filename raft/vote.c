#include "raft/vote.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/planted.h"
#include "base/status.h"

/* One sector: check of what follows up to RECORD_END, magic, version, fields, zeros. */
enum {
    AT_MAGIC = 4,
    AT_VERSION = 12,
    AT_SEQUENCE = 16,
    AT_CLUSTER = 24,
    AT_NODE = 40,
    AT_INCARNATION = 48,
    AT_TERM = 56,
    AT_VOTED_FOR = 64,
    AT_LOG_INDEX = 72,
    AT_LOG_SEGMENT = 80,
    RECORD_END = 88,
    FORMAT_VERSION = 2,
    SLOT_COUNT = 2,
    COPY_COUNT = 2,
    SLOT_BYTES = VOTE_FILE_BYTES / SLOT_COUNT,
};

#define TEMPORARY_NAME "vote.new"

static const uint8_t magic[8] = {'h', 'f', '-', 'v', 'o', 't', 'e', '\n'};

static void encode(const struct vote_state *state, uint64_t sequence,
                   uint8_t out[DISK_SECTOR_BYTES])
{
    memset(out, 0, DISK_SECTOR_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    put_u32(out + AT_VERSION, FORMAT_VERSION);
    put_u64(out + AT_SEQUENCE, sequence);
    memcpy(out + AT_CLUSTER, state->cluster_id, VOTE_CLUSTER_ID_BYTES);
    put_u64(out + AT_NODE, state->node_id);
    put_u64(out + AT_INCARNATION, state->incarnation);
    put_u64(out + AT_TERM, state->term);
    put_u64(out + AT_VOTED_FOR, state->voted_for);
    put_u64(out + AT_LOG_INDEX, state->log_index_min);
    put_u64(out + AT_LOG_SEGMENT, state->log_segment_min);
    put_u32(out, crc32c(0, out + AT_MAGIC, RECORD_END - AT_MAGIC));
}

static bool is_blank(const uint8_t *bytes)
{
    for (size_t i = 0; i < DISK_SECTOR_BYTES; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

/* HF_OK, or HF_ENOTFOUND for a blank sector, HF_ECORRUPT, HF_EVERSION. */
static int decode(const uint8_t *bytes, struct vote_state *state, uint64_t *sequence)
{
    if (is_blank(bytes)) return HF_ENOTFOUND;
    if (get_u32(bytes) != crc32c(0, bytes + AT_MAGIC, RECORD_END - AT_MAGIC)) return HF_ECORRUPT;
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0) return HF_ECORRUPT;
    if (get_u32(bytes + AT_VERSION) != FORMAT_VERSION) return HF_EVERSION;
    *sequence = get_u64(bytes + AT_SEQUENCE);
    memcpy(state->cluster_id, bytes + AT_CLUSTER, VOTE_CLUSTER_ID_BYTES);
    state->node_id = get_u64(bytes + AT_NODE);
    state->incarnation = get_u64(bytes + AT_INCARNATION);
    state->term = get_u64(bytes + AT_TERM);
    state->voted_for = get_u64(bytes + AT_VOTED_FOR);
    state->log_index_min = get_u64(bytes + AT_LOG_INDEX);
    state->log_segment_min = get_u64(bytes + AT_LOG_SEGMENT);
    if (state->node_id == 0 || state->log_segment_min == 0 || *sequence == 0) return HF_ECORRUPT;
    return HF_OK;
}

/* Two writes, far apart, and one sync: what a disk loses or puts elsewhere is one of them. */
static int write_slots(struct disk *d, struct disk_file *file, const struct vote_state *state,
                       uint64_t sequence)
{
    uint8_t bytes[COPY_COUNT * DISK_SECTOR_BYTES];
    int rv = HF_OK;
    encode(state, sequence, bytes);
    memcpy(bytes + DISK_SECTOR_BYTES, bytes, DISK_SECTOR_BYTES);
    for (unsigned slot = 0; slot < SLOT_COUNT && rv == HF_OK; slot++)
        rv = disk_write(d, file, slot * (uint64_t)SLOT_BYTES, slice_make(bytes, sizeof bytes));
    if (rv != HF_OK || planted(VOTE_NOT_SYNCED)) return rv;
    return disk_sync(d, file);
}

int vote_make(struct disk *d, const struct vote_state *state)
{
    HF_ASSERT(state->node_id >= 1);
    HF_ASSERT(state->log_segment_min >= 1);
    struct disk_file *file;
    int rv = disk_open(d, VOTE_FILE_NAME, DISK_READ, &file);
    if (rv == HF_OK) {
        disk_close(d, file);
        return HF_EEXIST;
    }
    if (rv != HF_ENOTFOUND) return rv;
    rv = disk_remove(d, TEMPORARY_NAME); /* an interrupted make's */
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;

    rv = disk_open(d, TEMPORARY_NAME, DISK_CREATE, &file);
    if (rv != HF_OK) return rv;
    rv = disk_allocate(d, file, VOTE_FILE_BYTES);
    if (rv == HF_OK) rv = write_slots(d, file, state, 1);
    disk_close(d, file);
    if (rv == HF_OK) rv = disk_rename(d, TEMPORARY_NAME, VOTE_FILE_NAME);
    if (rv == HF_OK) rv = disk_sync_names(d);
    return rv;
}

/* Read one slot; `found`: at least one of its copies checks out. */
static int read_slot(struct vote *v, unsigned slot, bool *found, struct refusal *why)
{
    unsigned damaged = 0;
    *found = false;
    for (unsigned copy = 0; copy < COPY_COUNT; copy++) {
        uint8_t bytes[DISK_SECTOR_BYTES];
        uint64_t offset = slot * (uint64_t)SLOT_BYTES + copy * (uint64_t)DISK_SECTOR_BYTES;
        int rv = disk_read(v->disk, v->file, offset, bytes, sizeof bytes);
        if (rv == HF_ECORRUPT) {
            return refuse(why, rv,
                          "The vote file is too short (%u bytes expected). Restore this "
                          "server as a new member; never with an older copy of the file.",
                          (unsigned)VOTE_FILE_BYTES);
        }
        if (rv != HF_OK) return refuse(why, rv, "The vote file cannot be read.");
        struct vote_state state;
        uint64_t sequence;
        rv = decode(bytes, &state, &sequence);
        if (rv == HF_EVERSION) {
            return refuse(why, rv, "The vote file was written by a later version of holdfast.");
        }
        if (rv == HF_ECORRUPT) damaged += 1;
        if (rv != HF_OK) continue;
        *found = true;
        if (sequence > v->sequence) {
            v->sequence = sequence;
            v->state = state;
        }
    }
    if (damaged > 0 && *found) {
        log_warn("one copy of the vote is damaged; the other is used", "slot=%u", slot);
    }
    if (damaged > 0 && !*found) {
        return refuse(why, HF_ECORRUPT,
                      "The vote file is damaged (slot %u, offset %u): this server may have voted "
                      "and forgotten it, so it must not vote again. Remove it from the cluster "
                      "and add it as a new member with an empty directory.",
                      slot, slot * (unsigned)SLOT_BYTES);
    }
    return HF_OK;
}

int vote_open(struct vote *v, struct disk *d, struct refusal *why)
{
    *v = (struct vote){.disk = d};
    int rv = disk_open(d, VOTE_FILE_NAME, DISK_READ, &v->file);
    if (rv == HF_ENOTFOUND) return refuse(why, rv, "There is no vote file.");
    if (rv != HF_OK) return refuse(why, rv, "The vote file cannot be opened.");

    bool any = false;
    for (unsigned slot = 0; slot < SLOT_COUNT && rv == HF_OK; slot++) {
        bool found;
        rv = read_slot(v, slot, &found, why);
        if (rv == HF_OK) any |= found;
    }
    if (rv == HF_OK && !any) {
        rv = refuse(why, HF_ECORRUPT,
                    "The vote file holds no vote (all its bytes are zero): it "
                    "lost what was written. Remove this server from the cluster and add it as a "
                    "new member with an empty directory.");
    }
    /* What was read may be in a cache only, from a process that was killed before its sync. */
    if (rv == HF_OK) {
        rv = disk_sync(d, v->file);
        if (rv != HF_OK) refuse(why, rv, "The vote file cannot be synced.");
    }
    if (rv != HF_OK) vote_close(v);
    return rv;
}

static int save(struct vote *v, const struct vote_state *next)
{
    int rv = write_slots(v->disk, v->file, next, v->sequence + 1);
    if (rv != HF_OK) return rv;
    v->state = *next;
    v->sequence += 1;
    return HF_OK;
}

int vote_save(struct vote *v, uint64_t term, uint64_t voted_for, uint64_t log_index_min)
{
    HF_ASSERT(v->file != NULL);
    HF_ASSERT(term >= v->state.term);
    HF_ASSERT(log_index_min >= v->state.log_index_min);
    struct vote_state next = v->state;
    next.term = term;
    next.voted_for = voted_for;
    next.log_index_min = log_index_min;
    return save(v, &next);
}

int vote_save_segment(struct vote *v, uint64_t log_segment_min)
{
    HF_ASSERT(v->file != NULL);
    HF_ASSERT(log_segment_min >= v->state.log_segment_min);
    struct vote_state next = v->state;
    next.log_segment_min = log_segment_min;
    return save(v, &next);
}

void vote_close(struct vote *v)
{
    if (v->file != NULL) disk_close(v->disk, v->file);
    v->file = NULL;
}
