/* holdfast-jepsen check: reads a file line by line, bounded, and prints what it thinks of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "jepsen/check/check.h"
#include "jepsen/command.h"

enum {
    SECONDS_DEFAULT = 60,
    SECONDS_MAX = 86400,
    MEMORY_MIB_DEFAULT = 1024,
    MEMORY_MIB_MIN = 4,
    MEMORY_MIB_MAX = 1 << 20,
    TAIL_DEFAULT = 40,
    TAIL_MAX = 100000,
    NS_PER_SECOND = 1000000000,
};

struct arguments {
    const struct model *model;
    const char *path;
    uint64_t seconds;
    uint64_t memory_mib;
    uint64_t tail;
};

static const char usage[] =
    "usage: holdfast-jepsen check --model lock|idem|fencedreg [options] FILE\n"
    "Does one order of events explain every answer in FILE (docs/history-format.md; - = standard\n"
    "input)?\n"
    "  --seconds S     give up after so long (default 60)\n"
    "  --memory-mib M  and with so much memory for the search (default 1024)\n"
    "  --tail N        show so many operations of a key that fails (default 40)\n"
    "exit code: 0 yes, 1 no, 2 FILE breaks the format, 3 undecided, 64 usage, 66 no such file\n";

/* ------------------------------------------------------------------ arguments */

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < least || number > most) return false;
    *out = number;
    return true;
}

static bool read_option(struct arguments *a, const char *name, const char *value)
{
    if (strcmp(name, "--model") == 0) {
        a->model = value != NULL ? model_find(value) : NULL;
        return a->model != NULL;
    }
    if (strcmp(name, "--seconds") == 0) return read_number(value, 1, SECONDS_MAX, &a->seconds);
    if (strcmp(name, "--tail") == 0) return read_number(value, 1, TAIL_MAX, &a->tail);
    if (strcmp(name, "--memory-mib") == 0)
        return read_number(value, MEMORY_MIB_MIN, MEMORY_MIB_MAX, &a->memory_mib);
    return false;
}

static bool read_arguments(struct arguments *a, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (!read_option(a, argv[i], argv[i + 1])) return false;
            i++;
        } else if (a->path == NULL) {
            a->path = argv[i];
        } else {
            return false;
        }
    }
    return a->model != NULL && a->path != NULL;
}

/* ------------------------------------------------------------------ reading */

/* Lines of at most HISTORY_LINE_BYTES_MAX; one that is longer is handed over cut, a byte too long,
 * and refused for it. */
static int read_lines(FILE *file, struct history *h)
{
    static char line[HISTORY_LINE_BYTES_MAX + 1];
    size_t size = 0;
    int c, rv = HF_OK;
    while (rv == HF_OK && (c = getc_unlocked(file)) != EOF) {
        if (c != '\n') line[size++] = (char)c;
        if (c != '\n' && size < sizeof line) continue;
        rv = history_line(h, slice_make(line, size));
        size = 0;
    }
    if (rv == HF_OK && size > 0) {
        h->line++;
        rv = history_refuse(h, "the file ends within it");
    }
    return rv;
}

static int read_file(const char *path, struct history *h)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr,
                "holdfast-jepsen: %s cannot be opened (errno %d): name a file that exists\n", path,
                errno);
        return EXIT_NO_INPUT;
    }
    int rv = read_lines(file, h);
    bool failed = ferror(file) != 0;
    if (file != stdin) (void)fclose(file);
    if (rv == HF_OK && !failed) rv = history_finish(h);
    if (failed) {
        fprintf(stderr, "holdfast-jepsen: %s cannot be read to its end\n", path);
        return EXIT_NO_INPUT;
    }
    if (rv == HF_OK) return 0;
    fprintf(stderr, "holdfast-jepsen: %s: %s\n", path, h->complaint);
    return CHECK_BAD_FORM;
}

/* ------------------------------------------------------------------ judging */

struct deadline {
    struct clock clock;
    uint64_t at_ns;
};

static bool is_over(void *data)
{
    const struct deadline *d = data;
    return clock_elapsed_ns(&d->clock) >= d->at_ns;
}

static int judge(const struct arguments *a, struct history *h)
{
    static const char *const words[] = {
        [SEARCH_FITS] = "fits", [SEARCH_FAILS] = "does not fit", [SEARCH_UNDECIDED] = "undecided"};
    static const int codes[] = {[SEARCH_FITS] = CHECK_FITS,
                                [SEARCH_FAILS] = CHECK_FITS_NOT,
                                [SEARCH_UNDECIDED] = CHECK_UNDECIDED};
    struct deadline deadline = {.clock = clock_real()};
    uint64_t begin_ns = clock_elapsed_ns(&deadline.clock);
    deadline.at_ns = begin_ns + a->seconds * NS_PER_SECOND;
    struct search_limits limits = {(size_t)a->memory_mib << 20, is_over, &deadline};
    struct check_result result;
    struct buffer report;
    size_t count = h->count;
    buffer_init(&report, CHECK_REPORT_BYTES_MAX);
    check_history(a->model, h, &limits, a->tail, &result, &report);
    uint64_t took_ms = (clock_elapsed_ns(&deadline.clock) - begin_ns) / 1000000;
    printf("%.*s", (int)report.size, report.size > 0 ? (const char *)report.data : "");
    printf("%s: %s: %zu operations (%" PRIu32 " more that show nothing), %zu keys, %zu of unknown "
           "outcome, %" PRIu64 " places, %" PRIu64 " ms: %s\n",
           a->path, a->model->name, count, h->dropped, result.key_count, result.unknown_count,
           result.place_count, took_ms, words[result.verdict]);
    buffer_close(&report);
    return codes[result.verdict];
}

int command_check(int argc, char **argv)
{
    struct arguments a = {
        .seconds = SECONDS_DEFAULT, .memory_mib = MEMORY_MIB_DEFAULT, .tail = TAIL_DEFAULT};
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf("%s", usage);
        return 0;
    }
    if (!read_arguments(&a, argc, argv)) {
        fprintf(stderr, "%s", usage);
        return EXIT_USAGE;
    }
    struct history h;
    history_init(&h, a.model->name);
    int code = read_file(a.path, &h);
    if (code == 0) code = judge(&a, &h);
    history_close(&h);
    return code;
}
