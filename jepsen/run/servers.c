#include "jepsen/run/servers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/run/child.h"

enum { CLIENT_PORT = 7420, PEER_PORT = 8421, END_MS_MAX = 10000 };

const char *servers_client_address(unsigned i, char out[SERVERS_ADDRESS_BYTES])
{
    char host[NET_ADDRESS_BYTES];
    snprintf(out, SERVERS_ADDRESS_BYTES, "%s:%d", net_address(i, host), CLIENT_PORT);
    return out;
}

static void list(unsigned count, bool of_peers, char *out)
{
    char host[NET_ADDRESS_BYTES];
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        char number[16] = "";
        if (of_peers) snprintf(number, sizeof number, "%u=", i + 1);
        used +=
            (size_t)snprintf(out + used, SERVERS_LIST_BYTES - used, "%s%s%s:%d", i > 0 ? "," : "",
                             number, net_address(i, host), of_peers ? PEER_PORT : CLIENT_PORT);
        HF_ASSERT(used < SERVERS_LIST_BYTES);
    }
}

void servers_client_list(unsigned count, char *out)
{
    list(count, false, out);
}

void servers_folder(const struct servers *s, unsigned i, char *out)
{
    snprintf(out, RUN_PATH_BYTES * 2, "%s/server-%u", s->plan->out, i + 1);
}

/* ------------------------------------------------------------------ clocks */

bool servers_set_wall(struct servers *s, unsigned i, long seconds)
{
    char path[RUN_PATH_BYTES * 2 + 16], next[RUN_PATH_BYTES * 2 + 16], text[32];
    HF_ASSERT(s->wall_faked);
    servers_folder(s, i, path);
    snprintf(next, sizeof next, "%.1023s/clock.new", path);
    snprintf(path + strlen(path), 8, "/clock");
    int size = snprintf(text, sizeof text, "%+ld\n", seconds);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    bool good = write(fd, text, (size_t)size) == size;
    close(fd);
    return good && rename(next, path) == 0; /* it is never read half */
}

/* What makes a server's clocks wrong. Texts live as long as the call of servers_start(). */
struct lies {
    char preload[RUN_PATH_BYTES + 32];
    char file[RUN_PATH_BYTES * 2 + 64];
    char rate[64];
    const char *environment[6];
};

static void prepare_lies(const struct servers *s, unsigned i, struct lies *lies)
{
    size_t count = 0;
    const char **environment = lies->environment;
    char folder[RUN_PATH_BYTES * 2];
    if (s->wall_faked || s->rate_faked) {
        snprintf(lies->preload, sizeof lies->preload, "LD_PRELOAD=%s", s->faketime);
        environment[count++] = lies->preload;
        environment[count++] = "FAKETIME_NO_CACHE=1";
    }
    if (s->rate_faked) {
        uint32_t rate = s->list[i].rate;
        snprintf(lies->rate, sizeof lies->rate, "FAKETIME=+0 x%u.%06u",
                 rate / SERVERS_RATE_PER_MILLION, rate % SERVERS_RATE_PER_MILLION);
        environment[count++] = lies->rate;
    } else if (s->wall_faked) {
        servers_folder(s, i, folder);
        snprintf(lies->file, sizeof lies->file, "FAKETIME_TIMESTAMP_FILE=%s/clock", folder);
        environment[count++] = lies->file;
        environment[count++] = "FAKETIME_DONT_FAKE_MONOTONIC=1";
    }
    environment[count] = NULL;
}

/* ------------------------------------------------------------------ starting and ending */

static bool make_folder(struct servers *s, unsigned i, const char *folder)
{
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return false;
    return !s->wall_faked || servers_set_wall(s, i, 0);
}

bool servers_start(struct servers *s, unsigned i)
{
    struct server *server = &s->list[i];
    char folder[RUN_PATH_BYTES * 2], log[RUN_PATH_BYTES * 2 + 8], id[16];
    char client[SERVERS_ADDRESS_BYTES], cluster[SERVERS_LIST_BYTES];
    struct lies lies;
    HF_ASSERT(server->pid == 0);
    servers_folder(s, i, folder);
    if (!server->made && !make_folder(s, i, folder)) return false;
    snprintf(log, sizeof log, "%s/log", folder);
    snprintf(id, sizeof id, "%u", i + 1);
    (void)servers_client_address(i, client);
    list(s->plan->servers, true, cluster);
    prepare_lies(s, i, &lies);
    const char *const arguments[] = {
        s->plan->daemon,
        "--data",
        "data",
        "--id",
        id,
        "--client",
        client,
        "--cluster",
        cluster,
        "--insecure",
        "--segment-mib",
        "4",
        server->made ? NULL : "--new-cluster", /* the first start's alone */
        NULL,
    };
    struct child c = {
        .arguments = arguments,
        .environment = lies.environment,
        .folder = folder,
        .log = log,
        .network = s->net->nodes[i],
        .own_shm = s->wall_faked || s->rate_faked,
    };
    server->pid = child_start(&c);
    if (server->pid < 0) server->pid = 0;
    server->made = server->made || server->pid != 0;
    server->stopped = false;
    server->starts += 1;
    return server->pid != 0;
}

void servers_kill(struct servers *s, unsigned i)
{
    if (s->list[i].pid != 0) child_kill(s->list[i].pid);
    s->list[i].pid = 0;
    s->list[i].stopped = false;
}

void servers_kill_all(struct servers *s)
{
    for (unsigned i = 0; i < s->plan->servers; i++) {
        if (s->list[i].pid != 0) kill(s->list[i].pid, SIGKILL);
    }
    for (unsigned i = 0; i < s->plan->servers; i++) servers_kill(s, i);
}

void servers_stop(struct servers *s, unsigned i)
{
    if (s->list[i].pid == 0) return;
    kill(s->list[i].pid, SIGSTOP);
    s->list[i].stopped = true;
}

void servers_go_on(struct servers *s, unsigned i)
{
    if (s->list[i].pid == 0) return;
    kill(s->list[i].pid, SIGCONT);
    s->list[i].stopped = false;
}

bool servers_end(struct servers *s, unsigned i, int *status)
{
    struct server *server = &s->list[i];
    HF_ASSERT(server->pid != 0);
    servers_go_on(s, i);
    kill(server->pid, SIGTERM);
    if (!child_wait(server->pid, END_MS_MAX, status)) {
        servers_kill(s, i);
        return false;
    }
    server->pid = 0;
    return true;
}

bool servers_is_well(const struct servers *s, unsigned i)
{
    return s->list[i].pid != 0 && !s->list[i].stopped;
}

unsigned servers_find(const struct servers *s, pid_t pid)
{
    unsigned i = 0;
    while (i < s->plan->servers && s->list[i].pid != pid) i++;
    return i;
}
