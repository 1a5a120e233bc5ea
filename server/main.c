/* holdfastd: read the settings, open the directory, run the loop. Everything that can be wrong
 * before serving is one sentence on standard error and a documented exit code. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/status.h"
#include "server/config.h"
#include "server/data_dir.h"
#include "server/loop.h"

/* Descriptors beside the clients'. */
enum {
    DESCRIPTORS_OWN = 64, /* log, store, libuv and some to spare */
    DESCRIPTORS_OF_LINKS = 2 * PEERS_IN_MAX + 2 * CLUSTER_MEMBERS_MAX, /* at the most */
};

/* Neither clients nor who knocks on the other servers' door must take the descriptors that the log
 * needs for its next segment. */
static void raise_descriptors(struct config *config)
{
    struct rlimit limit;
    rlim_t own = DESCRIPTORS_OWN + (config->cluster.count > 0 ? DESCRIPTORS_OF_LINKS : 0);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur >= (rlim_t)config->connections_max + own)
        return;
    config->connections_max = limit.rlim_cur > own ? (uint32_t)(limit.rlim_cur - own) : 1;
    log_warn("fewer connections than set: descriptors are short", "descriptors=%llu connections=%u",
             (unsigned long long)limit.rlim_cur, (unsigned)config->connections_max);
}

static int refuse_start(int status, const struct refusal *why)
{
    fprintf(stderr, "holdfastd: %s\n", why->text);
    return data_dir_exit_code(status);
}

static int init(const struct config *config)
{
    struct refusal why = {{0}};
    int rv = data_dir_make(config, &why);
    if (rv != HF_OK) return refuse_start(rv, &why);
    printf("made %s for server %llu\n", config->data,
           (unsigned long long)(config->id != 0 ? config->id : 1));
    return 0;
}

static int run(struct config *config)
{
    struct refusal why = {{0}};
    struct data_dir dir = {0};
    raise_descriptors(config);
    int rv = data_dir_open(&dir, config, &why);
    if (rv != HF_OK) return refuse_start(rv, &why);
    int code = loop_run(config, &dir);
    data_dir_close(&dir);
    return code;
}

int main(int argc, char **argv)
{
    struct config config;
    char sentence[CONFIG_SENTENCE_BYTES];
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    if (config_read(argc, argv, &config, sentence) != HF_OK) {
        fprintf(stderr, "holdfastd: %s\n", sentence);
        return EXIT_USAGE;
    }
    log_set_level(config.log_level);
    switch (config.command) {
    case CONFIG_HELP: fputs(config_help(), stdout); return 0;
    case CONFIG_VERSION: puts("holdfastd " HF_VERSION); return 0;
    case CONFIG_INIT: return init(&config);
    case CONFIG_RUN: return run(&config);
    }
    HF_UNREACHABLE();
}
