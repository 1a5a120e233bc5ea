/* lock: run a command while holding a lock. The lock is not a mutex: the command gets the fencing
 * token, and what it writes to should refuse older ones (docs/contract.md, section 5). What this
 * verb adds is that the command ends before the lease does. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/interrupt.h"
#include "client/cli/run_command.h"
#include "client/cli/words.h"

struct holding {
    hf_lock *lock;    /* the owner */
    hf_grant grant;   /* while held */
    const char *name; /* of the lock */
    uint64_t ttl_ms;  /* the session's lease */
    uint64_t wait_ms; /* --wait */
    bool shared;      /* --shared */
};

static void on_loss(hf_client *client, const hf_loss *loss, void *data)
{
    (void)client;
    (void)loss;
    (void)data;
    run_wake();
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
        .mode = h->shared ? HF_SHARED : HF_EXCLUSIVE,
        .meta = command,
        .meta_bytes = strnlen(command, META_BYTES_MAX),
    };
    return hf_lock_acquire_with(h->lock, h->name, &how, &h->grant, NULL);
}

static int tell_not_acquired(const struct cli *cli, const struct holding *h, int status)
{
    switch (status) {
    case HF_EBUSY:
        return cli_fail(CLI_TRY_AGAIN,
                        "the lock \"%s\" is held by another; try later, or wait for it "
                        "with --wait MS",
                        h->name);
    case HF_EWAITTIMEOUT:
        return cli_fail(CLI_TRY_AGAIN,
                        "the lock \"%s\" was held by others for all of %" PRIu64
                        " ms; try later, or wait longer",
                        h->name, h->wait_ms);
    default: return cli_fail_status(cli, status, "acquire the lock");
    }
}

static int tell_interrupted(const struct holding *h, int number, int status)
{
    if (status == HF_ETIMEOUT) {
        return cli_fail(128 + number,
                        "interrupted before the lock \"%s\" was acquired; nothing was run, but no "
                        "server confirmed that the queue was left: that is so with the lease, in "
                        "at most %" PRIu64 " ms",
                        h->name, h->ttl_ms);
    }
    return cli_fail(128 + number,
                    "interrupted before the lock \"%s\" was acquired; nothing was run, and the "
                    "queue was left",
                    h->name);
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
        .data = h,
    };
    run_command(&order, &result);
    bool held = hf_grant_valid(&h->grant, 0) != 0;
    bool lost = result.stopped || !held;
    /* A lost grant is given back in the background: nobody waits for a server to confirm that. */
    int released = lost ? HF_OK : hf_lock_release(h->lock, &h->grant, NULL);
    if (result.error != 0) return tell_not_started(args, result.error);
    if (lost) {
        return cli_fail(CLI_LOST,
                        "the lease of the lock \"%s\" was lost, so \"%s\" was %s; find out "
                        "how far it came before you run it again",
                        h->name, args->command[0],
                        result.stopped ? "stopped" : "not protected to its end");
    }
    if (released != HF_OK) {
        cli_warn("the lock \"%s\" was held to the end of the command, but no server confirmed its "
                 "release (%s); it ends with its lease, in at most %" PRIu64 " ms",
                 h->name, hf_status_name(released), h->ttl_ms);
    }
    return result.exit_code;
}

static int parse(struct cli *cli, const struct verb *verb, int argc, char **argv, struct args *args,
                 struct holding *h)
{
    const struct arg_option options[] = {
        {.name = "--ttl", .number = &h->ttl_ms, .min = TTL_MS_MIN, .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h->wait_ms, .max = WAIT_MS_MAX},
        {.name = "--shared", .flag = &h->shared},
    };
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    if (rv != CLI_OK || args->help) return rv;
    rv = args_expect(verb, args, 1, 1, true);
    if (rv == CLI_OK) rv = name_check(verb, args->words[0], 1);
    h->name = args->words[0];
    return rv;
}

static int run_lock(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct holding h = {.ttl_ms = 10000};
    struct args args;
    int rv = parse(cli, verb, argc, argv, &args, &h);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = cli_open(cli, h.ttl_ms, 0, on_loss);
    if (rv != CLI_OK) return rv;

    int status = hf_lock_new(cli->client, &h.lock);
    interrupt_begin(cli->client);
    if (status == HF_OK) status = acquire(&h, args.command[0], 0);
    bool busy = status == HF_EBUSY || status == HF_EDELAYED;
    if (busy && h.wait_ms > 0 && interrupt_signal() == 0) {
        /* Not at first: that nobody is there shall be told soon. */
        status = acquire(&h, args.command[0], h.wait_ms);
    }
    int interrupted = interrupt_end();
    if (interrupted != 0) {
        rv = tell_interrupted(&h, interrupted, status);
    } else {
        rv = status == HF_OK ? run_held(&args, &h) : tell_not_acquired(cli, &h, status);
    }
    hf_lock_free(h.lock);
    return rv;
}

const struct verb verb_lock = {
    .name = "lock",
    .synopsis = "NAME [--ttl MS] [--wait MS] [--shared] -- COMMAND ...",
    .summary = "run COMMAND while holding the lock NAME",
    .help =
        "  --ttl MS    the lease, 500 to 3,600,000, default 10,000; it is renewed while COMMAND\n"
        "              runs, and is how long others wait if this machine dies\n"
        "  --wait MS   wait so long, in order of arrival; default 0: try once. Interrupted while\n"
        "              it waits it leaves the queue, and ends with 128 + the signal's number\n"
        "  --shared    together with other --shared holders\n"
        "COMMAND runs in a process group of its own with the fencing token in HOLDFAST_TOKEN:\n"
        "send it along with every write, and let what you write to refuse smaller ones. INT,\n"
        "TERM, HUP, QUIT, USR1 and USR2 are passed on to it. If the lease cannot be renewed the\n"
        "group gets TERM when a fifth of the lease is left (150 ms to 3 s), and KILL before the\n"
        "lease ends; a warden process sees to that even if this one is killed or stopped.\n"
        "Exit codes: COMMAND's own, 128 + N if signal N ended it; 70 the lease was lost and "
        "COMMAND\n"
        "stopped; 75 not acquired; 69 no server answered; 127 no such command.\n",
    .run = run_lock,
};
