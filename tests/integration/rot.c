/* One bit flipped in any file of a data directory, its end cut off, the file gone, or the log's
 * newest file with all spares behind it, so that no gap shows: the server refuses to start with a
 * sentence and exit code 65, or it serves exactly what was acknowledged. Never anything else: no
 * wrong answer, no end by a signal, no start that hangs.
 *
 *     rot [FLIPS [SEED]]      flips of each kind of file (default 5), half as many cuts
 *
 * The directory is made once: a state of which every part was acknowledged, some of it in the
 * store, the end in the log alone (kill -9 right after a burst), over several segments. Each trial
 * damages a copy. Half of them go anywhere, half into sectors that are not all zero. */
#include <dirent.h>
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
#include "tests/integration/known_state.h"
#include "tests/integration/server_process.h"

enum { FILES_MAX = 64, PATH_BYTES = 160, SECTOR = 512, REFUSED_CODE = 65, KINDS_MAX = 8 };

enum outcome { REFUSED, CORRECT, STOPPED, WRONG, CRASHED, OUTCOMES };

static const char *const outcome_names[] = {"refused", "served_correctly", "stopped_later", "WRONG",
                                            "CRASHED"};

enum damage { FLIP, CUT, REMOVE, REMOVE_END, DAMAGES };

static const char *const damage_names[] = {"flips", "cuts", "gone", "end"};

struct kind {
    const char *name;                   /* for people */
    char files[FILES_MAX][PATH_BYTES];  /* below the data directory */
    unsigned file_count;                /* in `files` */
    unsigned counts[DAMAGES][OUTCOMES]; /* what came of which damage */
    char sentence[256];                 /* an example of what was said */
};

static struct kind kinds[] = {
    {.name = "log, sealed"}, {.name = "log, current"}, {.name = "log, spare"}, {.name = "vote"},
    {.name = "store/data"},  {.name = "store/lock"},   {.name = "other"},
};
enum { SEALED, CURRENT, SPARE, VOTE, DATA, LOCK, OTHER, KIND_COUNT };

static struct known_state state;
static struct prng prng;

/* ------------------------------------------------------------------ the directory */

static bool make_directory(struct server_process *s)
{
    struct wire c;
    if (!server_process_start(s)) return false;
    HF_ASSERT(wire_open(&c, s->port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    c.acks = true;
    bool good = known_state_add(&state, &c, 30, 90, 48 * 1024);
    sleep_ms(3000); /* a generation goes to the store */
    good = good && known_state_add(&state, &c, 30, 160, 48 * 1024);
    server_process_kill(s);
    wire_close(&c);
    return good;
}

static bool is_blank(const char *path, long offset)
{
    char sector[SECTOR] = {0};
    static const char zeros[SECTOR];
    int fd = open(path, O_RDONLY);
    HF_ASSERT(fd >= 0);
    ssize_t got = pread(fd, sector, sizeof sector, offset);
    close(fd);
    return got <= 0 || memcmp(sector, zeros, (size_t)got) == 0;
}

static void add_file(unsigned kind, const char *name)
{
    struct kind *k = &kinds[kind];
    HF_ASSERT(k->file_count < FILES_MAX);
    snprintf(k->files[k->file_count++], PATH_BYTES, "%s", name);
}

static int log_files(const struct dirent *entry)
{
    return strncmp(entry->d_name, "wal-", 4) == 0;
}

static int other_files(const struct dirent *entry)
{
    return strncmp(entry->d_name, "wal-", 4) != 0 && entry->d_name[0] != '.';
}

static void sort_log_files(const char *data)
{
    struct dirent **entries;
    char path[2 * PATH_BYTES + 100];
    unsigned last_begun = 0;
    int count = scandir(data, &entries, log_files, alphasort);
    HF_ASSERT(count > 0);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", data, entries[i]->d_name);
        if (!is_blank(path, 0)) last_begun = (unsigned)i;
    }
    for (int i = 0; i < count; i++) {
        unsigned at = (unsigned)i;
        add_file(at < last_begun ? SEALED : at == last_begun ? CURRENT : SPARE, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void sort_other_files(const char *data, const char *below)
{
    struct dirent **entries;
    char path[2 * PATH_BYTES + 100];
    snprintf(path, sizeof path, "%s/%s", data, below);
    int count = scandir(path, &entries, other_files, alphasort);
    HF_ASSERT(count >= 0);
    for (int i = 0; i < count; i++) {
        struct stat st;
        char name[PATH_BYTES + 100];
        snprintf(name, sizeof name, "%s%s", below, entries[i]->d_name);
        snprintf(path, sizeof path, "%s/%s", data, name);
        free(entries[i]);
        if (stat(path, &st) != 0 || st.st_size == 0) continue;
        if (S_ISDIR(st.st_mode)) {
            snprintf(path, sizeof path, "%s/", name);
            sort_other_files(data, path);
            continue;
        }
        unsigned kind = strcmp(name, "vote") == 0             ? VOTE
                        : strcmp(name, "store/data.mdb") == 0 ? DATA
                        : strcmp(name, "store/lock.mdb") == 0 ? LOCK
                                                              : OTHER;
        add_file(kind, name);
    }
    free(entries);
}

/* ------------------------------------------------------------------ damage */

/* A byte of the file: any, or one in a sector that is not all zero. */
static uint64_t pick_byte(const char *path, bool used_part)
{
    struct stat st;
    HF_ASSERT(stat(path, &st) == 0 && st.st_size > 0);
    uint64_t bytes = (uint64_t)st.st_size;
    uint64_t at = prng_below(&prng, bytes);
    for (unsigned i = 0; used_part && i < 20000; i++) {
        if (!is_blank(path, (long)(at / SECTOR * SECTOR))) break;
        at = prng_below(&prng, bytes);
    }
    return at;
}

static void flip_bit(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    HF_ASSERT(fd >= 0);
    HF_ASSERT(pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= (uint8_t)(1U << prng_below(&prng, 8));
    HF_ASSERT(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
    fprintf(stderr, "flip at %" PRIu64 " of %s\n", at, path);
}

/* At any byte, at a sector's or at a page's end: the last two may look whole. */
static void cut_end(const char *path, uint64_t at)
{
    static const uint64_t steps[] = {1, SECTOR, 4096};
    uint64_t step = steps[prng_below(&prng, HF_ARRAY_COUNT(steps))];
    at = at / step * step;
    HF_ASSERT(truncate(path, (off_t)at) == 0);
    fprintf(stderr, "cut at %" PRIu64 " of %s\n", at, path);
}

static void remove_file(const struct server_process *copy, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s/data/%s", copy->folder, name);
    HF_ASSERT(unlink(path) == 0);
    fprintf(stderr, "gone: %s\n", path);
}

/* ------------------------------------------------------------------ a trial */

static enum outcome judge(struct server_process *copy)
{
    if (!server_process_start(copy)) {
        bool hung = copy->pid != 0;
        server_process_kill(copy);
        if (hung || !WIFEXITED(copy->ended)) return CRASHED;
        return WEXITSTATUS(copy->ended) == REFUSED_CODE ? REFUSED : CRASHED;
    }
    int rv = known_state_compare(&state, copy->port);
    if (rv == HF_ECORRUPT) {
        server_process_kill(copy);
        return WRONG;
    }
    if (rv == HF_OK && kill(copy->pid, 0) == 0) {
        server_process_kill(copy);
        return CORRECT;
    }
    int status = 0; /* it stopped at what it found while it was serving: a fault, code 74 */
    for (unsigned i = 0; i < 200 && waitpid(copy->pid, &status, WNOHANG) == 0; i++) sleep_ms(10);
    copy->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 74 ? STOPPED : CRASHED;
}

static void try_once(const struct server_process *original, struct server_process *copy,
                     struct kind *k, enum damage damage)
{
    char command[512], path[320], line[512];
    snprintf(command, sizeof command,
             "rm -rf %s/data %s/log && cp -r --sparse=always %s/data %s/data", copy->folder,
             copy->folder, original->folder, copy->folder);
    HF_ASSERT(system(command) == 0);
    const char *name = k->files[prng_below(&prng, k->file_count)];
    snprintf(path, sizeof path, "%s/data/%s", copy->folder, name);
    uint64_t at = pick_byte(path, prng_below(&prng, 2) == 0);
    if (damage == FLIP) flip_bit(path, at);
    if (damage == CUT) cut_end(path, at);
    if (damage == REMOVE || damage == REMOVE_END) remove_file(copy, name);
    for (unsigned i = 0; damage == REMOVE_END && i < kinds[SPARE].file_count; i++)
        remove_file(copy, kinds[SPARE].files[i]);
    enum outcome outcome = judge(copy);
    server_process_last_line(copy, line, sizeof line);
    if (outcome == REFUSED && line[0] == '\0') outcome = WRONG; /* without a word */
    k->counts[damage][outcome]++;
    if (outcome == REFUSED) snprintf(k->sentence, sizeof k->sentence, "%.255s", line);
    if (outcome < WRONG) return;
    fprintf(stderr, "%s: %s, wait status %d: %s\n", outcome_names[outcome], path, copy->ended,
            line);
    snprintf(command, sizeof command, "cp -r %s %s.%u", copy->folder, original->folder,
             k->counts[damage][outcome]);
    if (system(command) == 0) fprintf(stderr, "kept as %s.*\n", original->folder);
}

static unsigned print_counts(const struct kind *k)
{
    unsigned bad = 0;
    for (unsigned d = 0; d < DAMAGES; d++) {
        if (d == REMOVE_END && k != &kinds[CURRENT]) continue;
        printf("%-14s %-6s", k->name, damage_names[d]);
        for (unsigned i = 0; i < OUTCOMES; i++) printf(" %s=%u", outcome_names[i], k->counts[d][i]);
        printf("\n");
        bad += k->counts[d][WRONG] + k->counts[d][CRASHED];
    }
    if (k->sentence[0] != '\0') printf("               it said: %s\n", k->sentence);
    return bad;
}

int main(int argc, char **argv)
{
    unsigned flips = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char data[128];
    struct server_process original, copy;
    prng_seed(&prng, seed);
    server_process_init(&original);
    server_process_init(&copy);
    original.extra[0] = copy.extra[0] = "--segment-mib";
    original.extra[1] = copy.extra[1] = "4";
    copy.quiet = true;
    if (!make_directory(&original)) return 1;
    snprintf(data, sizeof data, "%s/data", original.folder);
    sort_log_files(data);
    sort_other_files(data, "");

    unsigned bad = 0;
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        struct kind *k = &kinds[i];
        if (k->file_count == 0) continue;
        for (unsigned n = 0; n < flips; n++) try_once(&original, &copy, k, FLIP);
        for (unsigned n = 0; n < (flips + 1) / 2; n++) try_once(&original, &copy, k, CUT);
        for (unsigned n = 0; n < k->file_count; n++) try_once(&original, &copy, k, REMOVE);
        if (i == CURRENT) try_once(&original, &copy, k, REMOVE_END);
        bad += print_counts(k);
    }
    printf("locks=%u records=%u seed=%" PRIu64 " wrong_or_crashed=%u\n", state.lock_count,
           state.record_count, seed, bad);
    server_process_close(&copy, false);
    server_process_close(&original, bad != 0);
    return bad == 0 ? 0 : 1;
}
