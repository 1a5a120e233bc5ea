/* See the header. The interface of storage/store_ops.h, passed on to the store below. A cursor is
 * the lower store's from its beginning, and never comes back here. */
#include "tests/sim/sim_store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "storage/store_lmdb.h"
#include "storage/store_memory.h"
#include "storage/store_ops.h"
#include "tests/sim/failure.h"
#include "tests/sim/swarm.h"

enum { FOLDER_BYTES = PATH_MAX - 64 };

struct sim_store {
    struct store store;    /* the interface; first */
    struct store *below;   /* owned */
    bool on_disk;          /* it is the real one */
    uint32_t index;        /* of its server */
    uint64_t active_bytes; /* keys and values since the last checkpoint */
    int fail_status;       /* of the next flush; HF_OK = none */
};

static char folder[FOLDER_BYTES]; /* of all stores on disk; empty = none */

static struct sim_store *sim_store_of(struct store *s)
{
    return (struct sim_store *)(void *)s;
}

static const struct sim_store *sim_store_of_const(const struct store *s)
{
    return (const struct sim_store *)(const void *)s;
}

/* ------------------------------------------------------------------ the interface */

static int get(struct store *s, uint8_t table, struct slice key, struct slice *value)
{
    return store_get(sim_store_of(s)->below, table, key, value);
}

static int put(struct store *s, uint8_t table, struct slice key, struct slice value)
{
    uint64_t bytes = key.size + value.size; /* they may lie in the store */
    int rv = store_put(sim_store_of(s)->below, table, key, value);
    if (rv == HF_OK) sim_store_of(s)->active_bytes += bytes;
    return rv;
}

static int del(struct store *s, uint8_t table, struct slice key)
{
    uint64_t bytes = key.size;
    int rv = store_del(sim_store_of(s)->below, table, key);
    if (rv == HF_OK) sim_store_of(s)->active_bytes += bytes;
    return rv;
}

static int seek(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
                struct slice *key, struct slice *value)
{
    return store_seek(sim_store_of(s)->below, table, from, c, key, value);
}

static void savepoint(struct store *s)
{
    store_savepoint(sim_store_of(s)->below);
}

static int rollback(struct store *s)
{
    return store_rollback(sim_store_of(s)->below);
}

static void release(struct store *s)
{
    store_release(sim_store_of(s)->below);
}

static struct hash128 digest(const struct store *s)
{
    return store_digest(sim_store_of_const(s)->below);
}

static uint64_t count(const struct store *s, uint8_t table)
{
    return store_count(sim_store_of_const(s)->below, table);
}

static uint64_t active_bytes(const struct store *s)
{
    return sim_store_of_const(s)->active_bytes;
}

static bool is_flushing(const struct store *s)
{
    return store_is_flushing(sim_store_of_const(s)->below);
}

static bool has_room(const struct store *s)
{
    return store_has_room(sim_store_of_const(s)->below);
}

/* None, as if its file were always full: the store in memory has no file, and both must do the
 * same. */
static uint64_t free_inside(const struct store *s)
{
    (void)s;
    return 0;
}

static const struct store_mark *last_mark(const struct store *s)
{
    return store_mark(sim_store_of_const(s)->below);
}

static int checkpoint(struct store *s, const struct store_mark *mark)
{
    int rv = store_checkpoint(sim_store_of(s)->below, mark);
    if (rv == HF_OK) sim_store_of(s)->active_bytes = 0;
    return rv;
}

static int flush_run(struct store *s)
{
    struct sim_store *m = sim_store_of(s);
    int status = m->fail_status;
    m->fail_status = HF_OK;
    return status != HF_OK ? status : store_flush_run(m->below);
}

static int flush_done(struct store *s)
{
    return store_flush_done(sim_store_of(s)->below);
}

static int verify(struct store *s)
{
    return store_verify(sim_store_of(s)->below);
}

static int export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index)
{
    return store_export(sim_store_of(s)->below, sink_cb, data, index);
}

static void close_sim(struct store *s)
{
    store_close(sim_store_of(s)->below);
    free(s);
}

static const struct store_ops sim_ops = {
    .get = get,
    .put = put,
    .del = del,
    .seek = seek,
    .savepoint = savepoint,
    .rollback = rollback,
    .release = release,
    .digest = digest,
    .count = count,
    .active_bytes = active_bytes,
    .is_flushing = is_flushing,
    .has_room = has_room,
    .free_inside = free_inside,
    .mark = last_mark,
    .checkpoint = checkpoint,
    .flush_run = flush_run,
    .flush_done = flush_done,
    .verify = verify,
    .export = export,
    .close = close_sim,
};

/* ------------------------------------------------------------------ on disk */

static void name_store(char path[PATH_MAX], uint32_t index, const char *file)
{
    int size = snprintf(path, PATH_MAX, "%s/%u%s", folder, index + 1, file);
    HF_ASSERT(size > 0 && size < PATH_MAX);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0') parent = "/tmp";
    int size = snprintf(folder, sizeof folder, "%s/holdfast-sim-XXXXXX", parent);
    bool made = size > 0 && (size_t)size < sizeof folder && mkdtemp(folder) != NULL;
    if (made) return;
    folder[0] = '\0';
    sim_fail("no folder for the stores can be made in %s: let TMPDIR name one", parent);
}

static void open_on_disk(struct sim_store *m, bool fresh)
{
    static const uint64_t map_bytes = UINT64_C(256) << 20;
    struct store_lmdb_options options = {.map_bytes = map_bytes, .index_seed = m->index};
    char path[PATH_MAX];
    name_store(path, m->index, "");
    int rv = fresh ? store_lmdb_create(path, &options) : HF_OK;
    if (rv == HF_OK) rv = store_lmdb_open(path, &options, &m->below);
    if (rv != HF_OK)
        sim_fail("server %u's store does not %s: %s", m->index + 1, fresh ? "come to be" : "open",
                 status_name(rv));
}

static void remove_store(uint32_t index)
{
    static const char *const files[] = {"/data.mdb",     "/lock.mdb", ".new/data.mdb",
                                        ".new/lock.mdb", "",          ".new"};
    char path[PATH_MAX];
    for (unsigned k = 0; k < HF_ARRAY_COUNT(files); k++) {
        name_store(path, index, files[k]);
        if (unlink(path) != 0) (void)rmdir(path); /* most were never made */
    }
}

void sim_stores_remove(void)
{
    if (folder[0] == '\0') return;
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) remove_store(i);
    (void)rmdir(folder);
    folder[0] = '\0';
}

const char *sim_stores_folder(void)
{
    return folder[0] != '\0' ? folder : NULL;
}

/* ------------------------------------------------------------------ open and crash */

struct store *sim_store_open(bool on_disk, uint32_t index)
{
    HF_ASSERT(index < SIM_NODES_MAX);
    struct sim_store *m = calloc(1, sizeof *m);
    HF_ASSERT(m != NULL);
    m->store.ops = &sim_ops;
    m->store.magic = STORE_MAGIC;
    m->on_disk = on_disk;
    m->index = index;
    if (on_disk) {
        if (folder[0] == '\0') make_folder();
        open_on_disk(m, true);
        return &m->store;
    }
    int rv = store_memory_open(&m->below);
    HF_ASSERT(rv == HF_OK);
    return &m->store;
}

void sim_store_crash(struct store *s)
{
    HF_ASSERT(s->ops == &sim_ops);
    struct sim_store *m = sim_store_of(s);
    int rv = store_verify(m->below);
    if (rv != HF_OK)
        sim_fail("server %u's store does not add up: %s", m->index + 1, status_name(rv));
    s->in_savepoint = false;
    m->active_bytes = 0;
    m->fail_status = HF_OK;
    if (m->on_disk) {
        store_close(m->below);
        m->below = NULL;
        open_on_disk(m, false);
        return;
    }
    rv = store_memory_crash(m->below);
    HF_ASSERT(rv == HF_OK);
}

void sim_store_anew(struct store *s)
{
    HF_ASSERT(s->ops == &sim_ops);
    struct sim_store *m = sim_store_of(s);
    store_close(m->below);
    m->below = NULL;
    s->in_savepoint = false;
    m->active_bytes = 0;
    m->fail_status = HF_OK;
    if (m->on_disk) {
        remove_store(m->index);
        open_on_disk(m, true);
        return;
    }
    int rv = store_memory_open(&m->below);
    HF_ASSERT(rv == HF_OK);
}

void sim_store_fail_flush(struct store *s, int status)
{
    HF_ASSERT(s->ops == &sim_ops);
    HF_ASSERT(status != HF_OK);
    sim_store_of(s)->fail_status = status;
}
