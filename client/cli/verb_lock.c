/* lock, permit: run a command while holding a lock, several at once, or permits. A lock is not a
 * mutex: the command gets the fencing token, and what it writes to should refuse older ones
 * (docs/contract.md, section 5). What these verbs add is that the command ends before the lease. */
#include "client/include/holdfast_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/interrupt.h"
#include "client/cli/refusal.h"
#include "client/cli/run_command.h"
#include "client/cli/words.h"

enum { TITLE_BYTES = NAME_BYTES_MAX + 64 };

struct holding {
    hf_lock *lock;            /* the owner */
    hf_grant grant;           /* while held */
    const char *const *names; /* of the locks; borrowed */
    int name_count;           /* of them */
    int mode;                 /* enum hf_mode */
    uint64_t ttl_ms;          /* the session's lease */
    uint64_t wait_ms;         /* --wait */
    uint64_t permits;         /* --permits */
    uint64_t limit;           /* --limit */
    const char *on_revoke;    /* --on-revoke */
    const char *command;      /* for sentences */
    bool told;                /* that it is asked back */
    char title[TITLE_BYTES];  /* what it is, for sentences */
};

static void on_loss(hf_client *client, const hf_loss *loss, void *data)
{
    (void)client;
    (void)loss;
    (void)data;
    run_wake();
}

/* What is left of the grace, and 1; 0 = nobody asks. This process has one grant. */
static _Atomic uint64_t asked_left = 0;

static void on_asked(hf_client *client, const hf_asked *asked, void *data)
{
    (void)client;
    (void)data;
    asked_left = asked->left_ms + 1;
    run_wake();
}

static bool gives_back(void *data)
{
    struct holding *h = data;
    uint64_t left = asked_left;
    bool ends = strcmp(h->on_revoke, "term") == 0;
    if (left == 0) return false;
    if (!h->told) {
        cli_warn("an administrator asks %s back, and waits %" PRIu64 " ms longer; \"%s\" %s",
                 h->title, left - 1, h->command,
                 ends ? "gets TERM" : "goes on: --on-revoke term would end it");
    }
    h->told = true;
    return ends;
}

static uint64_t left_ms(void *data)
{
    const struct holding *h = data;
    return hf_grant_left_ms(&h->grant);
}

static int acquire(struct holding *h, const char *command, uint64_t wait_ms)
{
    const hf_acquire how = {
        .wait_ms = wait_ms,
        .mode = h->mode,
        .meta = command,
        .meta_bytes = strnlen(command, META_BYTES_MAX),
        .permits = (uint32_t)h->permits,
        .limit = (uint32_t)h->limit,
    };
    return hf_lock_acquire_many(h->lock, h->names, (size_t)h->name_count, &how, &h->grant, NULL);
}

static void make_title(struct holding *h)
{
    const char *what = h->mode == HF_PERMITS ? "permits of" : h->name_count > 1 ? "locks" : "lock";
    int size = snprintf(h->title, sizeof h->title, "the %s \"%s\"", what, h->names[0]);
    HF_ASSERT(size > 0 && (size_t)size < sizeof h->title);
    if (h->name_count == 1) return;
    int more = snprintf(h->title + size, sizeof h->title - (size_t)size, " and %d more",
                        h->name_count - 1);
    HF_ASSERT(more > 0 && (size_t)(size + more) < sizeof h->title);
}

static int tell_not_acquired(const struct cli *cli, const struct holding *h, int status)
{
    const char *some = h->name_count > 1 ? "some of " : "";
    char why[REFUSAL_BYTES];
    refusal_text(hf_lock_refusal(h->lock), why);
    switch (status) {
    case HF_EBUSY:
        return cli_fail(CLI_TRY_AGAIN,
                        "others hold %s%s, or wait for it%s; try later, or wait with --wait MS",
                        some, h->title, why);
    case HF_EDELAYED:
        return cli_fail(CLI_TRY_AGAIN,
                        "the last holder of %s%s was lost, and its lock-delay runs%s; try later, "
                        "or wait with --wait MS",
                        some, h->title, why);
    case HF_EDEADLOCK:
        return cli_fail(CLI_TRY_AGAIN,
                        "to wait for %s%s would be a deadlock%s; let one of them release first",
                        some, h->title, why);
    case HF_EWAITTIMEOUT:
        return cli_fail(CLI_TRY_AGAIN,
                        "others held %s%s for all of %" PRIu64 " ms; try later, or wait longer",
                        some, h->title, h->wait_ms);
    case HF_ELIMIT:
        return cli_fail(CLI_TRY_AGAIN,
                        "%s%s cannot be had now: a lock of that name is in use with another limit, "
                        "or as a shared one; use one --limit everywhere",
                        some, h->title);
    default: return cli_fail_status(cli, status, "acquire the lock");
    }
}

static int tell_interrupted(const struct holding *h, int number, int status)
{
    if (status == HF_ETIMEOUT) {
        return cli_fail(128 + number,
                        "interrupted before %s came; nothing was run, but no server confirmed that "
                        "the queue was left: that is so with the lease, in at most %" PRIu64 " ms",
                        h->title, h->ttl_ms);
    }
    return cli_fail(128 + number,
                    "interrupted before %s came; nothing was run, and the queue was left",
                    h->title);
}

static int tell_not_started(const struct args *args, int error)
{
    if (error == ENOENT || error == ENOTDIR) {
        return cli_fail(CLI_NO_COMMAND, "there is no command \"%s\"; nothing was run",
                        args->command[0]);
    }
    return cli_fail(error == EACCES || error == ENOEXEC ? CLI_CANNOT_RUN : CLI_SYSTEM,
                    "\"%s\" could not be run: %s; nothing was run", args->command[0],
                    text_of_errno(error));
}

/* The lock is held: run, release, and say how it ended. */
static int run_held(const struct args *args, struct holding *h)
{
    struct run_result result;
    const struct run_order order = {
        .command = args->command,
        .token = h->grant.fencing_token,
        .lease_ms = h->ttl_ms,
        .left_ms = left_ms,
        .gives_back = gives_back,
        .data = h,
    };
    run_command(&order, &result);
    bool held = hf_grant_valid(&h->grant, 0) != 0;
    bool lost = (result.stopped && !result.given_back) || !held;
    /* A lost grant is given back in the background: nobody waits for a server to confirm that. */
    int released = lost ? HF_OK : hf_lock_release(h->lock, &h->grant, NULL);
    if (result.error != 0) return tell_not_started(args, result.error);
    if (lost) {
        return cli_fail(
            CLI_LOST,
            "the lease of %s was lost, so \"%s\" was %s; find out how far it came before "
            "you run it again",
            h->title, args->command[0], result.stopped ? "stopped" : "not protected to its end");
    }
    if (released != HF_OK) {
        cli_warn("the command ended under %s, but no server confirmed the release (%s): it comes "
                 "with the end of the lease, in at most %" PRIu64 " ms",
                 h->title, hf_status_name(released), h->ttl_ms);
    }
    if (result.given_back) {
        return cli_fail(CLI_LOST,
                        "%s was asked back, so \"%s\" was stopped; find out how far it came before "
                        "you run it again",
                        h->title, args->command[0]);
    }
    return result.exit_code;
}

static int check_names(const struct verb *verb, const struct holding *h)
{
    for (int i = 0; i < h->name_count; i++) {
        int rv = name_check(verb, h->names[i], 1);
        if (rv != CLI_OK) return rv;
        for (int k = 0; k < i; k++) {
            if (strcmp(h->names[i], h->names[k]) != 0) continue;
            return cli_fail(CLI_USAGE, "`%s` was given the name \"%s\" twice; name each once",
                            verb->name, h->names[i]);
        }
    }
    return CLI_OK;
}

static int take_names(const struct verb *verb, const struct args *args, struct holding *h)
{
    int rv = args_expect(verb, args, 1, NAMES_MAX, true);
    if (rv != CLI_OK) return rv;
    h->names = args->words;
    h->name_count = args->word_count;
    h->command = args->command[0];
    if (strcmp(h->on_revoke, "ignore") != 0 && strcmp(h->on_revoke, "term") != 0)
        return cli_fail(CLI_USAGE, "`%s` does not know --on-revoke \"%s\"; say ignore or term",
                        verb->name, h->on_revoke);
    rv = check_names(verb, h);
    if (rv == CLI_OK) make_title(h);
    return rv;
}

static int parse_lock(struct cli *cli, const struct verb *verb, int argc, char **argv,
                      struct args *args, struct holding *h)
{
    bool shared = false;
    const struct arg_option options[] = {
        {.name = "--ttl", .number = &h->ttl_ms, .min = TTL_MS_MIN, .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h->wait_ms, .max = WAIT_MS_MAX},
        {.name = "--shared", .flag = &shared},
        {.name = "--on-revoke", .text = &h->on_revoke},
    };
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    h->mode = shared ? HF_SHARED : HF_EXCLUSIVE;
    return rv != CLI_OK || args->help ? rv : take_names(verb, args, h);
}

static int parse_permit(struct cli *cli, const struct verb *verb, int argc, char **argv,
                        struct args *args, struct holding *h)
{
    const struct arg_option options[] = {
        {.name = "--ttl", .number = &h->ttl_ms, .min = TTL_MS_MIN, .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h->wait_ms, .max = WAIT_MS_MAX},
        {.name = "--limit", .number = &h->limit, .min = 1, .max = PERMITS_MAX},
        {.name = "--permits", .number = &h->permits, .min = 1, .max = PERMITS_MAX},
        {.name = "--on-revoke", .text = &h->on_revoke},
    };
    h->mode = HF_PERMITS;
    h->permits = 1;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    if (rv != CLI_OK || args->help) return rv;
    rv = take_names(verb, args, h);
    if (rv != CLI_OK) return rv;
    if (h->limit == 0) {
        return cli_fail(CLI_USAGE, "`permit` was not told how many there are; say --limit N");
    }
    if (h->permits > h->limit) {
        return cli_fail(CLI_USAGE,
                        "`permit` cannot ever get %" PRIu64 " permits of %" PRIu64
                        "; ask for fewer, or raise --limit",
                        h->permits, h->limit);
    }
    return CLI_OK;
}

static int run_holding(struct cli *cli, const struct args *args, struct holding *h)
{
    cli->asked_cb = on_asked;
    int rv = cli_open(cli, h->ttl_ms, 0, on_loss);
    if (rv != CLI_OK) return rv;
    int status = hf_lock_new(cli->client, &h->lock);
    interrupt_begin(cli->client);
    if (status == HF_OK) status = acquire(h, args->command[0], 0);
    bool busy = status == HF_EBUSY || status == HF_EDELAYED;
    if (busy && h->wait_ms > 0 && interrupt_signal() == 0) {
        /* Not at first: that nobody is there shall be told soon. */
        status = acquire(h, args->command[0], h->wait_ms);
    }
    int interrupted = interrupt_end();
    if (interrupted != 0) {
        rv = tell_interrupted(h, interrupted, status);
    } else {
        rv = status == HF_OK ? run_held(args, h) : tell_not_acquired(cli, h, status);
    }
    hf_lock_free(h->lock);
    return rv;
}

static int run_lock(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct holding h = {.ttl_ms = 10000, .on_revoke = "ignore"};
    struct args args;
    int rv = parse_lock(cli, verb, argc, argv, &args, &h);
    if (rv != CLI_OK) return rv;
    return args.help ? args_help(verb) : run_holding(cli, &args, &h);
}

static int run_permit(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct holding h = {.ttl_ms = 10000, .on_revoke = "ignore"};
    struct args args;
    int rv = parse_permit(cli, verb, argc, argv, &args, &h);
    if (rv != CLI_OK) return rv;
    return args.help ? args_help(verb) : run_holding(cli, &args, &h);
}

const struct verb verb_lock = {
    .name = "lock",
    .synopsis = "NAME ... [--ttl MS] [--wait MS] [--shared] [--on-revoke WHAT] -- COMMAND ...",
    .summary = "run COMMAND while holding the lock NAME, or several at once",
    .help =
        "  NAME ...    up to 32 locks, all or nothing, under one token: in whatever order they\n"
        "              are named, callers cannot deadlock\n"
        "  --ttl MS    the lease, 500 to 3,600,000, default 10,000; it is renewed while COMMAND\n"
        "              runs, and is how long others wait if this machine dies\n"
        "  --wait MS   wait so long, in order of arrival; default 0: try once. Interrupted while\n"
        "              it waits it leaves the queue, and ends with 128 + the signal's number\n"
        "  --shared    together with other --shared holders\n"
        "  --on-revoke ignore | term   when an administrator asks the lock back (`holdfast "
        "revoke`)\n"
        "              a line says so on standard error, and COMMAND goes on (ignore, the\n"
        "              default), or the group gets TERM and the lock goes back when COMMAND has\n"
        "              ended: exit code 70. What is held when the grace is over may be taken\n"
        "              away: then the lease is lost\n"
        "COMMAND runs in a process group of its own with the fencing token in HOLDFAST_TOKEN:\n"
        "send it along with every write, and let what you write to refuse smaller ones. INT,\n"
        "TERM, HUP, QUIT, USR1 and USR2 are passed on to it. If the lease cannot be renewed the\n"
        "group gets TERM when a fifth of the lease is left (150 ms to 3 s), and KILL before the\n"
        "lease ends; a warden process sees to that even if this one is killed or stopped.\n"
        "Exit codes: COMMAND's own, 128 + N if signal N ended it; 70 the lease was lost\n"
        "or the lock asked back, and COMMAND stopped; 75 not acquired; 69 no server answered;\n"
        "127 no such command.\n",
    .run = run_lock,
};

const struct verb verb_permit = {
    .name = "permit",
    .synopsis = "NAME ... --limit N [--permits N] [--ttl MS] [--wait MS] [--on-revoke WHAT] -- "
                "COMMAND ...",
    .summary = "run COMMAND while holding some of the N permits of NAME",
    .help =
        "  NAME ...     up to 32 names, of each the same permits, all or nothing\n"
        "  --limit N    how many there are, 1 to 1,000,000: the same for all who use NAME, else "
        "75\n"
        "  --permits N  how many of them COMMAND takes, 1 to the limit, default 1\n"
        "  --ttl MS, --wait MS, --on-revoke, COMMAND and the exit codes are as of\n"
        "`holdfast help lock`: at most limit / permits commands run at once. Tokens tell the\n"
        "holders apart; they fence nobody, as several are good at a time. `lock NAME` waits\n"
        "until all permits are back.\n",
    .run = run_permit,
};
