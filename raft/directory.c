#include "raft/directory.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/entries.h"
#include "raft/wal.h"

#define MARKER_NAME   "making"   /* a make is under way, or was interrupted */
#define DIVERGED_NAME "diverged" /* the state was not the majority's */

enum { ENTRIES_BYTES_MAX = 64 * 1024 };

static int file_exists(struct disk *d, const char *name, bool *exists)
{
    struct disk_file *file;
    int rv = disk_open(d, name, DISK_READ, &file);
    *exists = rv == HF_OK;
    if (rv == HF_OK) disk_close(d, file);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

int directory_exists(struct disk *d, bool *exists)
{
    return file_exists(d, VOTE_FILE_NAME, exists);
}

/* Nothing but what an interrupted make left may be here. */
static int clear(struct disk *d, struct refusal *why)
{
    bool voted = false;
    bool making = false;
    bool logged = false;
    int rv = file_exists(d, VOTE_FILE_NAME, &voted);
    if (rv == HF_OK) rv = file_exists(d, MARKER_NAME, &making);
    if (rv == HF_OK) rv = wal_exists(d, &logged);
    if (rv != HF_OK) return refuse(why, rv, "The data directory cannot be read.");
    if (voted) {
        return refuse(why, HF_EEXIST,
                      "The data directory is in use already: it has a vote file. "
                      "Choose another, or start without making it.");
    }
    if (!making && logged) {
        return refuse(why, HF_EEXIST,
                      "The data directory has a log but no vote file: it belongs to a server that "
                      "lost its vote. Keep it for a rescue, and choose an empty directory.");
    }
    if (making) {
        rv = wal_erase(d);
    } else {
        struct disk_file *file;
        rv = disk_open(d, MARKER_NAME, DISK_CREATE, &file);
        if (rv == HF_OK) disk_close(d, file);
        if (rv == HF_OK) rv = disk_sync_names(d);
    }
    return rv == HF_OK ? rv : refuse(why, rv, "The data directory cannot be written.");
}

/* The log of a new server: empty, or with the configuration that all first servers begin with.
 * `newest`: Out, the number of its newest file. */
static int make_log(struct disk *d, const struct directory_settings *settings, uint64_t *newest,
                    struct refusal *why)
{
    struct wal_config config = {.segment_bytes = settings->segment_bytes, .may_create = true};
    memcpy(config.cluster_id, settings->cluster_id, sizeof config.cluster_id);
    struct entries entries;
    entries_init(&entries, 1, ENTRIES_BYTES_MAX);
    struct wal *w = NULL;
    int rv = wal_open(d, &config, 1, 0, &entries, &w, why);
    if (rv == HF_OK && settings->configuration.size > 0) {
        struct log_entry entry = {
            .index = 1,
            .term = 1,
            .type = LOG_CHANGE,
            .data = settings->configuration,
        };
        rv = wal_append(w, &entry);
        if (rv == HF_OK) rv = wal_run_all(w);
        if (rv != HF_OK) refuse(why, rv, "The log cannot be written.");
        if (rv == HF_OK) HF_ASSERT(wal_durable_index(w) == 1);
    }
    if (rv == HF_OK) *newest = wal_newest_segment(w);
    wal_close(w);
    entries_close(&entries);
    return rv;
}

int directory_make(struct disk *d, const struct directory_settings *settings, struct refusal *why)
{
    HF_ASSERT(settings->node_id >= 1);
    HF_ASSERT(settings->configuration.size == 0 || configuration_check(settings->configuration));
    uint64_t newest = 0;
    int rv = clear(d, why);
    if (rv == HF_OK) rv = make_log(d, settings, &newest, why);
    if (rv != HF_OK) return rv;

    bool first = settings->configuration.size > 0;
    struct vote_state state = {
        .node_id = settings->node_id,
        .incarnation = settings->incarnation,
        .term = first ? 1 : 0, /* entry 1 is of term 1 */
        .log_index_min = first ? 1 : 0,
        .log_segment_min = newest,
    };
    memcpy(state.cluster_id, settings->cluster_id, sizeof state.cluster_id);
    rv = vote_make(d, &state);
    if (rv == HF_OK) rv = disk_remove(d, MARKER_NAME);
    if (rv == HF_OK) rv = disk_sync_names(d);
    return rv == HF_OK ? rv : refuse(why, rv, "The vote file cannot be written.");
}

static int refuse_empty(struct disk *d, struct refusal *why)
{
    bool logged = false;
    int rv = wal_exists(d, &logged);
    if (rv != HF_OK) return refuse(why, rv, "The data directory cannot be read.");
    if (logged) {
        return refuse(why, HF_ENOTFOUND,
                      "The data directory has a log but no vote file. If making it was "
                      "interrupted, make it again; else this server has forgotten its votes and "
                      "must join as a new member with an empty directory.");
    }
    return refuse(why, HF_ENOTFOUND,
                  "The data directory is empty. A server that starts with an empty directory "
                  "under an id that it had before has forgotten its votes and loses acknowledged "
                  "data: so it is made by `holdfastd init` only.");
}

int directory_condemn(struct disk *d)
{
    struct disk_file *file;
    int rv = disk_open(d, DIVERGED_NAME, DISK_CREATE, &file);
    if (rv != HF_OK) return rv == HF_EEXIST ? HF_OK : rv;
    disk_close(d, file);
    return disk_sync_names(d);
}

static int refuse_diverged(struct disk *d, struct refusal *why)
{
    bool diverged = false;
    int rv = file_exists(d, DIVERGED_NAME, &diverged);
    if (rv != HF_OK) return refuse(why, rv, "The data directory cannot be read.");
    if (!diverged) return HF_OK;
    return refuse(why, HF_ECORRUPT,
                  "This server's state was not the majority's (there is a file \"" DIVERGED_NAME
                  "\"), and what it stores is not to be trusted. Keep the directory for whoever "
                  "looks for the cause, test the machine's memory, and add the server anew with "
                  "an empty directory.");
}

int directory_open(struct disk *d, const struct directory_expected *expected, struct vote *v,
                   struct refusal *why)
{
    int rv = vote_open(v, d, why);
    if (rv == HF_ENOTFOUND) return refuse_empty(d, why);
    if (rv != HF_OK) return rv;
    if (expected->knows_cluster &&
        memcmp(expected->cluster_id, v->state.cluster_id, VOTE_CLUSTER_ID_BYTES) != 0) {
        rv = refuse(why, HF_EINVAL,
                    "The data directory belongs to another cluster than the one "
                    "that was asked for. Check --data, --cluster and --cluster-name.");
    } else if (expected->node_id != 0 && expected->node_id != v->state.node_id) {
        rv = refuse(why, HF_EINVAL,
                    "The data directory belongs to server %" PRIu64 ", not to %" PRIu64
                    ". Check --data and --id; an id is never given to another directory.",
                    v->state.node_id, expected->node_id);
    }
    if (rv == HF_OK) rv = refuse_diverged(d, why);
    if (rv != HF_OK) vote_close(v);
    return rv;
}

int directory_check_log(const struct vote *v, uint64_t log_last_index, uint64_t store_index,
                        struct refusal *why)
{
    HF_ASSERT(v->state.node_id != 0);
    uint64_t reaches = log_last_index > store_index ? log_last_index : store_index;
    if (reaches >= v->state.log_index_min) return HF_OK;
    return refuse(why, HF_ECORRUPT,
                  "The log ends at entry %" PRIu64 ", but entry %" PRIu64
                  " was committed and on this disk: files of the data directory were replaced by "
                  "older ones. Remove this server from the cluster and add it as a new member "
                  "with an empty directory.",
                  log_last_index, v->state.log_index_min);
}
