-- Tests tests/slurm/cluster itself: starts a cluster within the cluster.
local slurm = require "tests.snakemake.slurm"
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local CLUSTER <const> = program.capture "pwd" .. "/tests/slurm/cluster"

-- A shell line that starts a cluster in which a job and a program of the command's own keep running; `ends` is how
-- the command goes on.
local function starting(folder, ends)
  return ([[
    cd %s && mkdir tmp && chmod a+x . # for munged
    export TMPDIR=$PWD/tmp
    exec %s sh -c 'readlink /proc/self/ns/pid >namespace; sleep 1000 & srun --quiet sh -c "sleep 1000" &
      until squeue --noheader --format %%T | grep -q RUNNING; do sleep 0.1; done
      ls -A tmp >state; : >running; %s' 2>messages]]):format(program.quote(folder.name), CLUSTER, ends)
end

-- The namespace of processes, as often as there are processes in it.
local function processes_in(namespace)
  local found = {}
  local pipe <close> = io.popen "readlink /proc/[0-9]*/ns/pid"
  for line in pipe:lines() do
    if line == namespace then found[#found + 1] = line end
  end
  return found
end

describe("A cluster for a test", function()
  local function assert_gone(folder)
    assert.matches("%S", folder:read "state")
    local namespace = folder:read "namespace":match "pid:%[%d+%]"
    slurm.await(function() return #processes_in(namespace) == 0 end, "its processes to end")
    slurm.await(function() return not program.capture("ls -A " .. folder:path "tmp") end, "its folder to go")
  end

  it("ends with its command's status, and leaves no process and no file", function()
    local folder <close> = new_folder()
    local result = program.shell(starting(folder, "exit 7"))
    assert.equal(7, result.status, folder:read "messages")
    assert_gone(folder)
  end)

  it("ends with its own end, too", function()
    local folder <close> = new_folder()
    local pid = program.capture("(" .. starting(folder, "sleep 1000") .. ") >/dev/null & echo $!")
    slurm.await(function()
      assert(os.execute("kill -0 " .. pid), folder:read "messages")
      return folder:read "running"
    end, "a job to run")
    assert.is_true(#processes_in(folder:read "namespace":match "pid:%[%d+%]") >= 5) -- three of them are Slurm's daemons
    os.execute("kill -TERM " .. pid)
    assert_gone(folder)
  end)

  it("may start in the same moment as another, and run beside it", function()
    local one <close> = new_folder()
    local other <close> = new_folder()
    local function line(folder, beside)
      local ends = ("until [ -e %s ]; do sleep 0.1; done; squeue --noheader --format %%N >nodes")
        :format(beside:path "running")
      return ("(%s) & pids=\"$pids $!\"\n"):format(starting(folder, ends))
    end
    local result = program.shell(line(one, other) .. line(other, one) .. "for pid in $pids; do wait $pid || exit; done")
    assert.equal(0, result.status, one:read "messages" .. other:read "messages")
    assert.equal("node1\n", one:read "nodes")
    assert.equal("node1\n", other:read "nodes")
  end)

  it("is not started beside a cluster of the machine's own", function()
    local folder <close> = new_folder()
    os.execute("mkdir " .. folder:path "etc")
    folder:write("etc/slurm.conf", "ClusterName=theirs\n")
    local result = program.shell(("cd %s && unshare --mount sh -c 'mount --bind etc /etc/slurm && %s touch started'")
      :format(program.quote(folder.name), CLUSTER))
    assert.equal(2, result.status)
    assert.truthy(result.err:find("/etc/slurm/slurm.conf: is not ours", 1, true), result.err)
    assert.equal("etc", folder:entries())
  end)
end)
