#define _GNU_SOURCE /* unshare, setns */
#include "jepsen/run/net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/assert.h"
#include "jepsen/run/child.h"

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

/* Root within a user namespace, where whoever runs this is not root. */
static bool become_root(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

/* Where Debian keeps ip and nft, and a user's PATH does not look. */
static bool widen_path(void)
{
    char path[4096];
    const char *mine = getenv("PATH");
    int size = snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", mine != NULL ? mine : "/usr/bin");
    return size > 0 && (size_t)size < sizeof path && setenv("PATH", path, 1) == 0;
}

bool net_enter(char *sentence)
{
    if ((geteuid() != 0 && !become_root()) || unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        char room[128];
        const char *reason = strerror_r(errno, room, sizeof room);
        snprintf(sentence, NET_SENTENCE_BYTES,
                 "cannot make network namespaces (%s): run it as root, outside of a container "
                 "that forbids them",
                 reason);
        return false;
    }
    return widen_path();
}

const char *net_address(unsigned node, char out[NET_ADDRESS_BYTES])
{
    snprintf(out, NET_ADDRESS_BYTES, "10.77.0.%u", node + 1);
    return out;
}

bool net_join(int network)
{
    return setns(network, CLONE_NEWNET) == 0;
}

bool net_own_shm(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/dev/shm", "tmpfs", 0, "size=16m") == 0;
}

/* ------------------------------------------------------------------ links */

static bool explain(const char *tool, const char *package, const char *complaint, char *sentence)
{
    snprintf(sentence, NET_SENTENCE_BYTES, "%s failed: %s (it is in Debian's package %s)", tool,
             complaint, package);
    return false;
}

/* Commands of ip(8), one a line. */
static bool run_ip(int network, const char *commands, char *sentence)
{
    static const char *const arguments[] = {"ip", "-batch", "-", NULL};
    char complaint[CHILD_COMPLAINT_BYTES];
    if (child_tool(arguments, network, commands, complaint)) return true;
    return explain("ip", "iproute2", complaint, sentence);
}

static int open_own(void)
{
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* A new namespace, and back again. \return its descriptor, or -1. */
static int make_namespace(void)
{
    int hub = open_own(), node = -1;
    if (hub < 0) return -1;
    if (unshare(CLONE_NEWNET) == 0) node = open_own();
    bool back = setns(hub, CLONE_NEWNET) == 0;
    HF_ASSERT(back); /* or all that follows would happen elsewhere */
    close(hub);
    return node;
}

static bool join_node(const struct net *net, unsigned i, char *sentence)
{
    char commands[512], address[NET_ADDRESS_BYTES];
    snprintf(commands, sizeof commands,
             "link add n%u type veth peer name eth0 netns /proc/%d/fd/%d\n"
             "link set n%u master hub up\n",
             i, (int)getpid(), net->nodes[i], i);
    if (!run_ip(-1, commands, sentence)) return false;
    snprintf(commands, sizeof commands,
             "addr add %s/24 dev eth0\nlink set eth0 up\nlink set lo up\n",
             net_address(i, address));
    return run_ip(net->nodes[i], commands, sentence);
}

bool net_open(struct net *net, unsigned count, char *sentence)
{
    struct cut none;
    HF_ASSERT(count >= 1 && count <= CUT_NODES_MAX);
    *net = (struct net){.count = 0};
    bool good = run_ip(-1,
                       "link add hub type bridge\naddr add 10.77.0.250/24 dev hub\n"
                       "link set hub up\nlink set lo up\n",
                       sentence);
    for (unsigned i = 0; good && i < count; i++) {
        net->nodes[i] = make_namespace();
        if (net->nodes[i] < 0) {
            snprintf(sentence, NET_SENTENCE_BYTES, "cannot make %u network namespaces: %s", count,
                     "the kernel allows no more");
            return false;
        }
        net->count = i + 1;
        good = join_node(net, i, sentence);
    }
    cut_none(&none, count);
    return good && net_cut(&none, sentence);
}

void net_close(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++) close(net->nodes[i]);
    net->count = 0;
}

bool net_cut(const struct cut *cut, char *sentence)
{
    static const char *const arguments[] = {"nft", "-f", "-", NULL};
    char rules[CUT_RULES_BYTES], complaint[CHILD_COMPLAINT_BYTES];
    cut_rules(cut, rules);
    if (child_tool(arguments, -1, rules, complaint)) return true;
    return explain("nft", "nftables", complaint, sentence);
}
