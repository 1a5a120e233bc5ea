/* See server/data_dir.h. Order of making: store, log, vote file; only with the last one is it a
 * server's directory. */
#include "server/data_dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "storage/store_lmdb.h"

enum { STORE_PATH_BYTES = CONFIG_PATH_BYTES + 16, CONFIGURATION_BYTES = 4096 };

/* Of address space above the store's largest size: a store that is full must still be able to
 * flush what frees, and two flushes in a row may each touch a page for every row of a generation.
 */
#define FLUSH_ROOM_BYTES ((uint64_t)4 << 30)

/* Where the other servers would find this one; until there are others, nobody looks. */
static const char PEER_ADDRESS[] = "127.0.0.1:7421";

int data_dir_exit_code(int status)
{
    switch (status) {
    case HF_ECORRUPT:
    case HF_EVERSION:
    case HF_EINVAL:
    case HF_ENOTFOUND:
    case HF_EEXIST: return EXIT_DATA;
    default: return EXIT_IO;
    }
}

static struct store_lmdb_options store_options(const struct config *config)
{
    struct store_lmdb_options options = {.rows_bytes_max = (uint64_t)config->map_gib << 30};
    options.map_bytes = options.rows_bytes_max / 4 * 5 + FLUSH_ROOM_BYTES;
    random_bytes(&options.index_seed, sizeof options.index_seed);
    return options;
}

/* Why the directory did not open, as far as it can be seen from here. */
static int refuse_disk(const char *path, int status, struct refusal *why)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return refuse(why, status, "%s is not a directory", path);
    if (access(path, R_OK | W_OK | X_OK) == 0)
        return refuse(why, status, "%s does not open: %s", path, status_text(status));
    switch (errno) {
    case EACCES:
    case EROFS:
        return refuse(why, status, "%s does not open: check its owner and mode, and those above it",
                      path);
    case ENOTDIR: return refuse(why, status, "%s: a part of this path is not a directory", path);
    default: return refuse(why, status, "%s cannot be made here: check who may write there", path);
    }
}

static int open_disk(struct data_dir *d, const struct config *config, struct refusal *why)
{
    int rv = disk_posix_open(&d->disk, config->data, true);
    if (rv == HF_OK) return HF_OK;
    if (rv == HF_ELOCKED) return refuse(why, rv, "%s is in use by another process", config->data);
    if (rv == HF_ENOTFOUND)
        return refuse(why, rv, "%s cannot be made: its parent directory does not exist",
                      config->data);
    return refuse_disk(config->data, rv, why);
}

static int open_store(const char *path, const struct config *config, struct store **store,
                      struct refusal *why)
{
    struct store_lmdb_options options = store_options(config);
    int rv = store_lmdb_open(path, &options, store);
    switch (rv) {
    case HF_OK: return HF_OK;
    case HF_ENOTFOUND:
        return refuse(why, rv, "%s is missing: restore this directory as a whole", path);
    case HF_ECORRUPT:
        return refuse(why, rv, "%s is damaged: restore this directory as a whole", path);
    case HF_EVERSION: return refuse(why, rv, "%s was written by a later version of holdfast", path);
    default: return refuse(why, rv, "%s does not open: %s", path, status_text(rv));
    }
}

/* A store without a vote file: an interrupted making left it empty; anything else is a loss. */
static int make_store(const char *path, const struct config *config, struct refusal *why)
{
    struct store_lmdb_options options = store_options(config);
    int rv = store_lmdb_create(path, &options);
    if (rv == HF_OK) return HF_OK;
    if (rv != HF_EEXIST) return refuse(why, rv, "cannot make %s: %s", path, status_text(rv));

    struct store *store = NULL;
    rv = open_store(path, config, &store, why);
    if (rv != HF_OK) return rv;
    bool empty = store_mark(store)->index == 0;
    store_close(store);
    if (empty) return HF_OK;
    return refuse(why, HF_ECORRUPT,
                  "%s has a store but no vote file: it has forgotten its votes; restore this "
                  "directory as a whole",
                  config->data);
}

/* What a server begins with: a lone one as a cluster of itself, with an id drawn at random. */
static int first_settings(const struct config *config, struct directory_settings *settings,
                          struct buffer *configuration)
{
    struct configuration_server self = {
        .id = settings->node_id, .address = PEER_ADDRESS, .role = SERVER_VOTER};
    random_bytes(&settings->incarnation, sizeof settings->incarnation);
    int rv = HF_OK;
    if (config->cluster.count == 0) {
        random_bytes(settings->cluster_id, sizeof settings->cluster_id);
        rv = configuration_encode(&self, 1, configuration);
    } else {
        cluster_id(&config->cluster, config->cluster_name, settings->cluster_id);
        rv = cluster_configuration(&config->cluster, configuration);
    }
    settings->configuration = buffer_slice(configuration);
    return rv;
}

static int make_here(struct data_dir *d, const struct config *config, const char *store_path,
                     struct refusal *why)
{
    int rv = disk_posix_sync_own_name(&d->disk);
    if (rv != HF_OK)
        return refuse(why, rv, "the directory of %s does not sync: %s", config->data,
                      status_text(rv));
    rv = make_store(store_path, config, why);
    if (rv != HF_OK) return rv;

    struct directory_settings settings = {
        .node_id = config->id != 0 ? config->id : 1,
        .segment_bytes = config->segment_mib * 1024 * 1024,
    };
    struct buffer configuration;
    buffer_init(&configuration, CONFIGURATION_BYTES);
    rv = first_settings(config, &settings, &configuration);
    if (rv == HF_OK) rv = directory_make(&d->disk.disk, &settings, why);
    buffer_close(&configuration);
    return rv;
}

/* An empty directory: a lone server's is made, a cluster member's only if that was said. */
static int make_if_allowed(struct data_dir *d, const struct config *config, const char *store_path,
                           struct refusal *why)
{
    if (config->cluster.count == 0 || config->new_cluster)
        return make_here(d, config, store_path, why);
    return refuse(why, HF_ENOTFOUND,
                  "%s is empty: if server %llu was here before, it has forgotten its votes, and "
                  "starting it would lose what the cluster has acknowledged; restore its "
                  "directory. If the cluster is new, give --new-cluster",
                  config->data, (unsigned long long)config->id);
}

int data_dir_open(struct data_dir *d, const struct config *config, struct refusal *why)
{
    *d = (struct data_dir){.disk = {.dir_fd = -1}};
    char store_path[STORE_PATH_BYTES];
    snprintf(store_path, sizeof store_path, "%s/store", config->data);
    bool made = false;
    int rv = open_disk(d, config, why);
    if (rv != HF_OK) return rv;
    rv = directory_exists(&d->disk.disk, &made);
    if (rv != HF_OK) rv = refuse(why, rv, "%s does not read: %s", config->data, status_text(rv));
    if (rv == HF_OK && !made) rv = make_if_allowed(d, config, store_path, why);
    if (rv == HF_OK) rv = open_store(store_path, config, &d->store, why);
    if (rv != HF_OK) data_dir_close(d);
    return rv;
}

int data_dir_make(const struct config *config, struct refusal *why)
{
    struct data_dir d = {.disk = {.dir_fd = -1}};
    char store_path[STORE_PATH_BYTES];
    snprintf(store_path, sizeof store_path, "%s/store", config->data);
    bool made = false;
    int rv = open_disk(&d, config, why);
    if (rv != HF_OK) return rv;
    rv = directory_exists(&d.disk.disk, &made);
    if (rv != HF_OK) rv = refuse(why, rv, "%s does not read: %s", config->data, status_text(rv));
    if (rv == HF_OK && made)
        rv = refuse(why, HF_EEXIST, "%s is a server's directory already", config->data);
    if (rv == HF_OK) rv = make_here(&d, config, store_path, why);
    data_dir_close(&d);
    return rv;
}

void data_dir_close(struct data_dir *d)
{
    store_close(d->store);
    d->store = NULL;
    disk_posix_close(&d->disk);
}
