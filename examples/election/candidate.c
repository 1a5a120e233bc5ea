/* election_candidate: one of several that want to lead. It campaigns, leads as long as it may, and
 * campaigns again. What it does as the leader is to write a line to a journal that all share; the
 * journal stands for whatever only the leader may touch, and has what such a thing needs: it
 * refuses terms older than the last that it has seen.
 *
 *   election_candidate ELECTION                 who leads: "TERM VALUE", or exit code 1: nobody
 *   election_candidate ELECTION VALUE JOURNAL   campaign; TERM: resign and end
 *        [--ttl MS] [--stop-before-act N]       ... for the test: stops itself before its n-th act,
 *                                               behind its last check */
#include <fcntl.h>
#include <holdfast_lock.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    WAIT_MS = 500,         /* wait in steps, to hear of TERM in between */
    PAUSE_US = 100 * 1000, /* before something that failed is tried again */
    ACT_MS_MAX = 100,      /* what an act may take: do not begin it with less of the lease left */
    ACT_EVERY_US = 20 * 1000,
    LINE_BYTES = 128,
    EXIT_NOBODY = 1,
    EXIT_USE = 64,
};

struct candidate {
    hf_client *client;    /* owned */
    hf_lock *lock;        /* owned: the owner that holds the election's lock while it leads */
    const char *election; /* the lock's name */
    const char *value;    /* shown to whoever asks who leads: an address, say */
    int journal;          /* owned */
    int acts;             /* tried so far */
    int stop_before_act;  /* 0 = never */
};

static volatile sig_atomic_t resigning;
static _Atomic uint64_t asked_back; /* the term that an administrator wants to end */

static void resign(int signal_number)
{
    (void)signal_number;
    resigning = 1;
}

/* On the library's thread: no more than this. */
static void step_down(hf_client *client, const hf_asked *asked, void *data)
{
    (void)client;
    (void)data;
    asked_back = asked->fencing_token;
}

static void say(const char *what, uint64_t term)
{
    printf("%s %" PRIu64 "\n", what, term);
    (void)fflush(stdout);
}

static void fail(const char *what)
{
    fprintf(stderr, "candidate: cannot %s\n", what);
    exit(EXIT_NOBODY);
}

/* ------------------------------------------------------------------ what only the leader may do */

/* The term of the journal's last line, 0 if there is none. Lines are shorter than LINE_BYTES. */
static uint64_t last_term(int journal)
{
    char end[LINE_BYTES + 1];
    off_t size = lseek(journal, 0, SEEK_END);
    off_t from = size > LINE_BYTES ? size - LINE_BYTES : 0;
    ssize_t got = pread(journal, end, LINE_BYTES, from);
    if (got <= 0) return 0;
    end[got - 1] = '\0'; /* the last line's newline */
    const char *line = strrchr(end, '\n');
    return strtoull(line != NULL ? line + 1 : end, NULL, 10);
}

/* Write a line, unless a later leader has. Look and write are one step: others are kept out.
 * \return 1 written, 0 fenced off. */
static int act(const struct candidate *c, uint64_t term)
{
    char line[LINE_BYTES];
    int size = snprintf(line, sizeof line, "%" PRIu64 " %s\n", term, c->value);
    if (flock(c->journal, LOCK_EX) != 0) fail("lock the journal");
    int mine = last_term(c->journal) <= term;
    if (mine && write(c->journal, line, (size_t)size) != size) fail("write the journal");
    (void)flock(c->journal, LOCK_UN);
    return mine;
}

/* ------------------------------------------------------------------ the election */

/* Lead for as long as it is certain. A pause anywhere is noticed at the next hf_grant_valid(), one
 * behind it by what is acted upon. */
static void lead(struct candidate *c, uint64_t term, const hf_grant *grant)
{
    while (!resigning && asked_back != term && hf_grant_valid(grant, ACT_MS_MAX)) {
        c->acts += 1;
        if (c->acts == c->stop_before_act) (void)raise(SIGSTOP);
        if (!act(c, term)) {
            say("fenced", term);
            return;
        }
        (void)usleep(ACT_EVERY_US);
    }
}

/* Statuses that no repetition mends. */
static int is_final(int status)
{
    return status == HF_EINVAL || status == HF_EBADREQUEST || status == HF_EVERSION ||
           status == HF_ENOMEM || status == HF_ELIMIT;
}

static int campaign(struct candidate *c)
{
    const hf_acquire how = {.wait_ms = WAIT_MS, .meta = c->value, .meta_bytes = strlen(c->value)};
    while (!resigning) {
        hf_grant grant;
        int rv = hf_lock_acquire_with(c->lock, c->election, &how, &grant, NULL);
        if (is_final(rv)) {
            fprintf(stderr, "candidate: cannot campaign: %s\n", hf_status_text(rv));
            return EXIT_NOBODY;
        }
        if (rv == HF_EWAITTIMEOUT) continue; /* another leads */
        if (rv != HF_OK) {
            (void)usleep(PAUSE_US);
            continue;
        }
        uint64_t term = grant.fencing_token;
        say("leads", term);
        lead(c, term, &grant);
        /* Resigning is releasing: the next one leads at once. If the grant was lost there is
         * nothing to give back, and somebody else may lead already. */
        say(hf_lock_release(c->lock, &grant, NULL) == HF_OK ? "resigned" : "lost", term);
    }
    return 0;
}

static void print_leader(const hf_lock_view *view, void *data)
{
    int *found = data;
    *found = view->holders_shown > 0;
    if (!*found) return;
    const hf_holder_view *leader = &view->holders[0];
    printf("%" PRIu64 " %.*s\n", leader->who.fencing_token, (int)leader->meta_bytes,
           leader->meta_bytes > 0 ? (const char *)leader->meta : "");
}

static int observe(hf_client *client, const char *election)
{
    int found = 0;
    int rv = hf_lock_look(client, election, print_leader, &found);
    if (rv != HF_OK) fprintf(stderr, "candidate: cannot ask who leads: %s\n", hf_status_text(rv));
    return found ? 0 : EXIT_NOBODY;
}

/* ------------------------------------------------------------------ the program */

static int run(struct candidate *c, const char *journal)
{
    const struct sigaction action = {.sa_handler = resign};
    (void)sigaction(SIGTERM, &action, NULL);
    c->journal = open(journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (c->journal < 0) fail("open the journal");
    if (hf_lock_new(c->client, &c->lock) != HF_OK) fail("make an owner: no memory");
    int code = campaign(c);
    hf_lock_free(c->lock);
    (void)close(c->journal);
    return code;
}

int main(int argc, char **argv)
{
    struct candidate c = {.journal = -1};
    hf_options options;
    hf_options_init(&options);
    options.asked_cb = step_down;
    for (; argc > 3 && strncmp(argv[argc - 2], "--", 2) == 0; argc -= 2) {
        unsigned long number = strtoul(argv[argc - 1], NULL, 10);
        if (strcmp(argv[argc - 2], "--ttl") == 0) options.ttl_ms = number;
        if (strcmp(argv[argc - 2], "--stop-before-act") == 0) c.stop_before_act = (int)number;
    }
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "use: election_candidate ELECTION [VALUE JOURNAL [--ttl MS]]\n");
        return EXIT_USE;
    }
    int rv = hf_client_open(&options, &c.client);
    if (rv != HF_OK) {
        fprintf(stderr, "candidate: no client: %s\n", hf_status_text(rv));
        return EXIT_NOBODY;
    }
    c.election = argv[1];
    c.value = argc == 4 ? argv[2] : "";
    int code = argc == 4 ? run(&c, argv[3]) : observe(c.client, c.election);
    hf_client_close(c.client);
    return code;
}
