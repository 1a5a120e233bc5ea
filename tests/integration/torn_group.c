/* A write torn by a power cut: the log's last group with only its first sectors on disk, for every
 * number of them, and with random sets of its sectors missing. Such a group was never acknowledged
 * to anybody: the server cuts it, serves all that was, and goes on writing.
 *
 *     torn_group [SECTORS [SUBSETS [SEED]]]      about how many sectors the group has (default 12),
 *                                                how many random sets (default 5)
 *
 * A file that ends where that group begins is another matter: the log's files never change their
 * length, so it lost what may have been acknowledged, and is refused.
 *
 * The group is made by completing a record with a large body, the server being killed at once; the
 * directory's copies are what the disk would hold had the power gone while it was written. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/status.h"
#include "raft/wal_format.h"
#include "tests/integration/known_state.h"
#include "tests/integration/server_process.h"

enum {
    SEGMENT_BYTES = 4 * 1024 * 1024,
    FILES_MAX = 100,
    RUNNING_INDEX = 4,
    SECTORS_MAX = 128,
    REFUSED_CODE = 65
};

static struct known_state state;
static char segment_name[64];  /* the log's current file, below data/ */
static uint32_t group_sector;  /* its last group begins there */
static uint32_t group_sectors; /* and has so many */
static uint32_t body_bytes;    /* of the completion that it holds */

/* ------------------------------------------------------------------ the directory */

static bool make_directory(struct server_process *s)
{
    struct wire c;
    if (!server_process_start(s)) return false;
    HF_ASSERT(wire_open(&c, s->port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    if (!known_state_add(&state, &c, 20, 20, 300)) return false;
    sleep_ms(2500); /* all of it goes to the store: nothing else is written meanwhile */
    c.ack = state.last_seq - 1;
    int rv =
        known_state_complete(&c, RUNNING_INDEX, state.records[RUNNING_INDEX].token, body_bytes);
    server_process_kill(s);
    wire_close(&c);
    return rv == HF_OK;
}

static int note_group(const struct wal_record *record, uint32_t sector, uint32_t chain, void *data)
{
    (void)record;
    (void)chain;
    (void)data;
    group_sector = sector;
    return HF_OK;
}

static uint8_t *read_segment(const struct server_process *s, unsigned number)
{
    char path[160];
    snprintf(segment_name, sizeof segment_name, "wal-%016x", number);
    snprintf(path, sizeof path, "%s/data/%s", s->folder, segment_name);
    uint8_t *bytes = malloc(SEGMENT_BYTES);
    int fd = open(path, O_RDONLY);
    HF_ASSERT(bytes != NULL);
    if (fd < 0 || pread(fd, bytes, SEGMENT_BYTES, 0) != SEGMENT_BYTES) {
        free(bytes);
        bytes = NULL;
    }
    if (fd >= 0) close(fd);
    return bytes;
}

/* The highest segment with a head; its last group. */
static bool find_group(const struct server_process *s)
{
    struct wal_head head, found = {.segment = 0};
    for (unsigned number = 1; number < FILES_MAX; number++) {
        uint8_t *bytes = read_segment(s, number);
        if (bytes == NULL) break;
        if (wal_head_decode(bytes, &head) == HF_OK) found = head;
        free(bytes);
    }
    if (found.segment == 0) return false;
    uint8_t *bytes = read_segment(s, (unsigned)found.segment);
    struct buffer scratch;
    buffer_init(&scratch, SEGMENT_BYTES);
    struct wal_scan scan = {
        .bytes = bytes + WAL_SECTOR_BYTES,
        .first_sector = 1,
        .sectors = SEGMENT_BYTES / WAL_SECTOR_BYTES - 1,
        .tags = wal_tags_make(found.cluster_id, found.segment),
        .chain = found.chain,
        .each = note_group,
        .scratch = &scratch,
    };
    bool clean = wal_scan_run(&scan) == WAL_CLEAN;
    group_sectors = scan.end_sector - group_sector;
    buffer_close(&scratch);
    free(bytes);
    return clean && group_sector > 0;
}

/* ------------------------------------------------------------------ a trial */

static void lose_sectors(const struct server_process *copy, const bool *kept)
{
    char path[160];
    static const uint8_t zeros[WAL_SECTOR_BYTES];
    snprintf(path, sizeof path, "%s/data/%s", copy->folder, segment_name);
    int fd = open(path, O_WRONLY);
    HF_ASSERT(fd >= 0);
    for (uint32_t i = 0; i < group_sectors; i++) {
        off_t at = (off_t)(group_sector + i) * WAL_SECTOR_BYTES;
        if (!kept[i]) HF_ASSERT(pwrite(fd, zeros, sizeof zeros, at) == sizeof zeros);
    }
    close(fd);
}

/* What was acknowledged, and the completion if and only if its group is whole. */
static bool serves_well(struct server_process *copy, bool whole)
{
    struct wire c;
    bool done = false;
    uint64_t token = state.records[RUNNING_INDEX].token;
    HF_ASSERT(wire_open(&c, copy->port));
    bool good = known_state_is_completed(&c, RUNNING_INDEX, token, body_bytes, &done);
    wire_close(&c);
    if (!good || done != whole) {
        fprintf(stderr, "the torn completion: %s\n", done ? "is there" : "is gone");
        return false;
    }
    if (!whole) return known_state_compare(&state, copy->port) == HF_OK;
    static struct known_state after;
    after = state;
    after.records[RUNNING_INDEX].done = true;
    after.records[RUNNING_INDEX].body_bytes = body_bytes;
    return known_state_compare(&after, copy->port) == HF_OK;
}

static void copy_directory(const struct server_process *original, struct server_process *copy)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s/data %s/log && cp -r %s/data %s/data",
             copy->folder, copy->folder, original->folder, copy->folder);
    HF_ASSERT(system(command) == 0);
}

/* Served, written to, killed, and served again: behind a cut the log goes on. */
static bool try_once(const struct server_process *original, struct server_process *copy,
                     const bool *kept, const char *what)
{
    bool whole = true;
    for (uint32_t i = 0; i < group_sectors; i++) whole = whole && kept[i];
    copy_directory(original, copy);
    lose_sectors(copy, kept);
    bool good = true;
    for (unsigned start = 0; start < 2 && good; start++) {
        good = server_process_start(copy) && serves_well(copy, whole);
        server_process_kill(copy);
    }
    if (good) return true;
    fprintf(stderr, "%s: not served as it was acknowledged\n", what);
    for (uint32_t i = 0; i < group_sectors; i++) fputc(kept[i] ? '#' : '.', stderr);
    fputc('\n', stderr);
    return false;
}

static bool short_file_is_refused(const struct server_process *original,
                                  struct server_process *copy)
{
    char path[160];
    copy_directory(original, copy);
    snprintf(path, sizeof path, "%s/data/%s", copy->folder, segment_name);
    HF_ASSERT(truncate(path, (off_t)group_sector * WAL_SECTOR_BYTES) == 0);
    copy->quiet = true;
    bool started = server_process_start(copy);
    copy->quiet = false;
    if (started) fprintf(stderr, "a file that ends before the last group was accepted\n");
    bool refused = !started && WIFEXITED(copy->ended) && WEXITSTATUS(copy->ended) == REFUSED_CODE;
    server_process_kill(copy);
    return refused;
}

int main(int argc, char **argv)
{
    uint32_t sectors = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 12;
    unsigned subsets = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    struct prng prng;
    struct server_process original, copy;
    HF_ASSERT(sectors >= 2 && sectors < SECTORS_MAX);
    body_bytes = (sectors - 1) * WAL_PAYLOAD_BYTES;
    prng_seed(&prng, seed);
    server_process_init(&original);
    server_process_init(&copy);
    original.extra[0] = copy.extra[0] = "--segment-mib";
    original.extra[1] = copy.extra[1] = "4";
    if (!make_directory(&original) || !find_group(&original)) return 1;

    bool kept[SECTORS_MAX + 8];
    unsigned failed = 0;
    HF_ASSERT(group_sectors >= 2 && group_sectors <= HF_ARRAY_COUNT(kept));
    for (uint32_t first = 0; first <= group_sectors; first++) {
        for (uint32_t i = 0; i < group_sectors; i++) kept[i] = i < first;
        if (!try_once(&original, &copy, kept, "a torn end")) failed++;
    }
    for (unsigned n = 0; n < subsets; n++) {
        for (uint32_t i = 0; i < group_sectors; i++) kept[i] = prng_below(&prng, 2) == 0;
        kept[prng_below(&prng, group_sectors)] = false;
        if (!try_once(&original, &copy, kept, "a random set")) failed++;
    }
    if (!short_file_is_refused(&original, &copy)) failed++;
    printf("group_sectors=%u boundaries=%u sets=%u seed=%" PRIu64 " failed=%u\n", group_sectors,
           group_sectors + 1, subsets, seed, failed);
    server_process_close(&copy, failed != 0);
    server_process_close(&original, failed != 0);
    return failed == 0 ? 0 : 1;
}
