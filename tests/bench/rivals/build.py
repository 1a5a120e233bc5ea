"""Builds the load generators, each only where its library is here."""
import os
import shutil
import subprocess

from system import HERE, ROOT

FLAGS = ['-O2', '-std=c11', '-D_DEFAULT_SOURCE', '-Wall', '-Wextra', '-Wshadow', '-Wconversion']
GO_PATH = '/usr/share/gocode'  # where Debian's packages have their sources
SHARED = [os.path.join(HERE, 'load.c'), os.path.join(ROOT, 'client', 'cli', 'histogram.c'),
          os.path.join(ROOT, 'base', 'assert.c')]


def c_program(tools, name, *flags):
    """Compile tools/NAME from NAME.c and what all share. Returns '' or why it was not possible."""
    if shutil.which('cc') is None:
        return 'no C compiler (cc)'
    run = subprocess.run(['cc', *FLAGS, '-I', ROOT, '-o', os.path.join(tools, name),
                          os.path.join(HERE, name + '.c'), *SHARED, *flags],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return '' if run.returncode == 0 else f'{name} does not build: {run.stdout.strip()[-500:]}'


def go_program(tools, name):
    """Compile tools/NAME from NAME.go against Debian's packages. Returns '' or why not."""
    if shutil.which('go') is None:
        return 'no Go compiler (go)'
    if not os.path.isdir(os.path.join(GO_PATH, 'src', 'go.etcd.io', 'etcd', 'clientv3')):
        return "etcd's Go client"
    run = subprocess.run(['go', 'build', '-o', os.path.join(tools, name),
                          os.path.join(HERE, name + '.go')],
                         env={**os.environ, 'GO111MODULE': 'off', 'GOPATH': GO_PATH,
                              'GOFLAGS': ''},
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return '' if run.returncode == 0 else f'{name} does not build: {run.stdout.strip()[-500:]}'


# What a system's load needs: (program, how it is built). holdfast has its own.
GENERATORS = {
    'valkey': ('load_resp', lambda tools: c_program(tools, 'load_resp')),
    'redlock': ('load_resp', lambda tools: c_program(tools, 'load_resp')),
    'etcd': ('load_etcd', lambda tools: go_program(tools, 'load_etcd')),
    'zookeeper': ('load_zk', lambda tools: c_program(tools, 'load_zk', '-lzookeeper_st', '-lm')),
    'postgresql': ('load_pg', lambda tools: c_program(tools, 'load_pg', '-lpq',
                                                      '-I/usr/include/postgresql')),
}


def generator(tools, system):
    """Build what a system's load needs, once. Returns '' or why it was not possible."""
    program, build = GENERATORS.get(system, ('', None))
    if not program or os.path.exists(os.path.join(tools, program)):
        return ''
    return build(tools)
