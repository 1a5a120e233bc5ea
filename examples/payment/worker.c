/* payment_worker: takes its share of a file of requests and pays them, one after the other. It
 * writes one line a request to its results and so knows, when it is started again, where it was:
 * at the request whose line is missing, which may or may not have been paid. That is the same at
 * every queue that delivers at least once.
 *
 * With --without-holdfast it trusts that each request comes once and nobody else is at work. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/payment/pay.h"

enum { TTL_MS = 2000, LINE_BYTES = 512 };

struct worker {
    struct payer payer;   /* what pays */
    const char *requests; /* the file */
    const char *results;  /* the file of its answers */
    int number;           /* 0 .. count - 1 */
    int count;            /* workers */
    int naive;            /* --without-holdfast */
    int results_fd;       /* of `results`, appending */
};

static const char *const words[] = {"paid", "replay", "refused", "declined"};

static int number_of(const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > 1000000) {
        fprintf(stderr, "worker: \"%s\" is not a number from 0 to 1000000\n", text);
        exit(64);
    }
    return (int)value;
}

/* How many requests of its share were answered before it was last ended. */
static int answered_before(const char *path)
{
    char line[LINE_BYTES];
    int count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) count += strncmp(line, "answer ", 7) == 0;
    (void)fclose(file);
    return count;
}

/* One write: a killed worker leaves whole lines. */
static void tell(const struct worker *w, const char *line)
{
    size_t size = strlen(line);
    if (write(w->results_fd, line, size) != (ssize_t)size) {
        fprintf(stderr, "worker: cannot write %s: %d\n", w->results, errno);
        exit(1);
    }
}

static void tell_asleep(const struct payment *p, uint64_t token, void *data)
{
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, "asleep %s %" PRIu64 "\n", p->account, token);
    tell(data, line);
}

static void answer(struct worker *w, int line_number, const struct payment *p)
{
    char line[LINE_BYTES];
    char receipt[RECEIPT_BYTES] = "";
    enum paid paid = PAID;
    if (w->naive) {
        ledger_move_naively(w->payer.ledger, p);
        w->payer.moves += 1;
        if (w->payer.moves == w->payer.mishaps.die_after_move) (void)kill(getpid(), SIGKILL);
    } else {
        int fenced = w->payer.fenced;
        int resolved = w->payer.resolved;
        int taken_over = w->payer.taken_over;
        paid = pay(&w->payer, p, receipt);
        if (w->payer.fenced > fenced) tell(w, "fenced\n");
        if (w->payer.resolved > resolved) tell(w, "resolved\n");
        if (w->payer.taken_over > taken_over) tell(w, "taken-over\n");
    }
    (void)snprintf(line, sizeof line, "answer %d %s %s %s\n", line_number, words[paid], p->id,
                   receipt[0] != '\0' ? receipt : "-");
    tell(w, line);
}

/* "ID ACCOUNT CENTS" */
static int parse_request(char *line, struct payment *p)
{
    char *rest = NULL;
    char *end = NULL;
    const char *id = strtok_r(line, " \n", &rest);
    const char *account = strtok_r(NULL, " \n", &rest);
    const char *cents = strtok_r(NULL, " \n", &rest);
    if (id == NULL || account == NULL || cents == NULL) return 0;
    (void)snprintf(p->id, sizeof p->id, "%s", id);
    (void)snprintf(p->account, sizeof p->account, "%s", account);
    p->cents = strtoll(cents, &end, 10);
    return *end == '\0' && p->cents > 0;
}

static void work(struct worker *w)
{
    char line[LINE_BYTES];
    int skip = answered_before(w->results);
    FILE *file = fopen(w->requests, "r");
    if (file == NULL) {
        fprintf(stderr, "worker: cannot read the requests in %s\n", w->requests);
        exit(1);
    }
    for (int number = 0; fgets(line, sizeof line, file) != NULL; number++) {
        struct payment payment;
        if (number % w->count != w->number) continue;
        if (skip-- > 0) continue;
        if (!parse_request(line, &payment)) {
            fprintf(stderr, "worker: line %d of the requests is none\n", number + 1);
            exit(1);
        }
        answer(w, number, &payment);
    }
    (void)fclose(file);
}

static void usage(void)
{
    fprintf(stderr, "use: payment_worker --ledger LEDGER --requests FILE --results FILE --worker K "
                    "--workers N\n       [--servers HOST:PORT] [--without-holdfast] "
                    "[--die-after-move N] [--stop-before-write N]\n");
    exit(64);
}

static const char *parse_arguments(int argc, char **argv, struct worker *w, hf_options *options)
{
    const char *ledger = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--without-holdfast") == 0) {
            w->naive = 1;
            continue;
        }
        if (i + 1 == argc) usage();
        const char *name = argv[i];
        const char *value = argv[++i];
        if (strcmp(name, "--ledger") == 0) {
            ledger = value;
        } else if (strcmp(name, "--requests") == 0) {
            w->requests = value;
        } else if (strcmp(name, "--results") == 0) {
            w->results = value;
        } else if (strcmp(name, "--servers") == 0) {
            options->servers = value;
        } else if (strcmp(name, "--worker") == 0) {
            w->number = number_of(value);
        } else if (strcmp(name, "--workers") == 0) {
            w->count = number_of(value);
        } else if (strcmp(name, "--die-after-move") == 0) {
            w->payer.mishaps.die_after_move = number_of(value);
        } else if (strcmp(name, "--stop-before-write") == 0) {
            w->payer.mishaps.stop_before_write = number_of(value);
        } else {
            usage();
        }
    }
    if (ledger == NULL || w->requests == NULL || w->results == NULL || w->count < 1) usage();
    return ledger;
}

int main(int argc, char **argv)
{
    struct worker w = {.results_fd = -1};
    w.payer.mishaps.asleep_cb = tell_asleep;
    w.payer.mishaps.data = &w;
    hf_options options;
    hf_options_init(&options);
    options.ttl_ms = TTL_MS;
    const char *ledger = parse_arguments(argc, argv, &w, &options);
    w.results_fd = open(w.results, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    w.payer.ledger = ledger_open(ledger);
    if (!w.naive) {
        int rv = hf_client_open(&options, &w.payer.client);
        if (rv != HF_OK) {
            fprintf(stderr, "worker: cannot start the client: %s\n", hf_status_text(rv));
            close(w.results_fd);
            return 1;
        }
    }
    work(&w);
    hf_client_close(w.payer.client);
    ledger_close(w.payer.ledger);
    (void)close(w.results_fd);
    return 0;
}
