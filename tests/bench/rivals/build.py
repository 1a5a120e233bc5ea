"""Builds the load generators, each only where its library is here."""
import os
import shutil
import subprocess

from system import HERE, ROOT

FLAGS = ['-O2', '-std=c11', '-D_DEFAULT_SOURCE', '-Wall', '-Wextra', '-Wshadow', '-Wconversion']
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
