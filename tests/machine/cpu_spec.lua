local cpu = require "lkrun.core.cpu"
local lk = require "lkrun"
local program = require "tests.support.program"

local quote = program.quote

-- A folder that looks like a system's root, with these files; gone at the end of scope.
local function fixture(files)
  local root = program.capture "mktemp -d"
  for path, text in pairs(files) do
    assert(os.execute("mkdir -p " .. quote(root .. path:match "^.*/")))
    local file <close> = assert(io.open(root .. path, "wb"))
    file:write(text, "\n")
  end
  return setmetatable({ root = root }, {
    __close = function() os.execute("rm -rf " .. quote(root)) end,
  })
end

local function limits(files)
  local tree <close> = fixture(files)
  return cpu.limits(tree.root)
end

local function merged(first, second)
  local all = {}
  for path, text in pairs(first) do all[path] = text end
  for path, text in pairs(second) do all[path] = text end
  return all
end

describe("cgroup v2", function()
  local v2 = {
    ["/proc/self/cgroup"] = "0::/batch.slice/job-7/step",
    ["/proc/self/mountinfo"] = "22 28 0:21 / /proc rw,nosuid - proc proc rw\n"
      .. "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate",
  }
  local function quota(files) return limits(merged(v2, files)).quota end

  it("without a quota is not a limit", function()
    assert.equal(0, quota {})
    assert.equal(0, quota { ["/sys/fs/cgroup/batch.slice/job-7/step/cpu.max"] = "max 100000" })
    assert.equal(0, quota { ["/sys/fs/cgroup/batch.slice/job-7/step/cpu.max"] = "nonsense" })
  end)

  it("rounds the quota up", function()
    for text, cpus in pairs {
      ["100000 100000"] = 1, ["100001 100000"] = 2, ["250000 100000"] = 3, ["1000 100000"] = 1,
      ["800000 50000"] = 16, ["9223372036854775807 1"] = 2147483647,
    } do
      assert.equal(cpus, quota { ["/sys/fs/cgroup/batch.slice/job-7/step/cpu.max"] = text }, text)
    end
  end)

  it("takes the least quota of the whole path, wherever it is", function()
    local folders = { "/sys/fs/cgroup", "/sys/fs/cgroup/batch.slice", "/sys/fs/cgroup/batch.slice/job-7",
      "/sys/fs/cgroup/batch.slice/job-7/step" }
    for least = 1, #folders do
      local files = {}
      for i, folder in ipairs(folders) do
        files[folder .. "/cpu.max"] = i == least and "300000 100000" or "500000 100000"
      end
      assert.equal(3, quota(files), folders[least])
      assert.equal(3, quota { [folders[least] .. "/cpu.max"] = "300000 100000" }, folders[least])
    end
  end)

  it("does not look at cgroups beside the path", function()
    assert.equal(0, quota { ["/sys/fs/cgroup/batch.slice/job-8/cpu.max"] = "100000 100000",
      ["/sys/fs/cpu.max"] = "100000 100000" })
  end)

  it("counts the CPUs of the effective cpuset", function()
    local own = "/sys/fs/cgroup/batch.slice/job-7/step/cpuset.cpus.effective"
    for text, cpus in pairs { ["0-3,8,10-11"] = 7, ["5"] = 1, ["0-127"] = 128, [""] = 0, ["3-1"] = 0 } do
      assert.equal(cpus, limits(merged(v2, { [own] = text })).cpuset, text)
    end
    assert.equal(2, limits(merged(v2, {
      [own] = "0-1", ["/sys/fs/cgroup/cpuset.cpus.effective"] = "0-255",
    })).cpuset)
  end)

  it("in a cgroup that was removed still has the limits above it", function()
    assert.equal(2, quota {
      ["/proc/self/cgroup"] = "0::/batch.slice/job-7/gone (deleted)",
      ["/sys/fs/cgroup/batch.slice/job-7/cpu.max"] = "200000 100000",
    })
  end)
end)

describe("cgroup v1", function()
  local v1 = {
    ["/proc/self/cgroup"] = "12:cpuset:/jobs/a\n11:memory:/elsewhere\n4:cpu,cpuacct:/jobs/a/b\n0::/",
    ["/proc/self/mountinfo"] =
      "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      .. "34 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      .. "35 25 0:31 / /sys/fs/cgroup/cpu_other rw - cgroup cgroup rw,name=cpu_other\n"
      .. "36 25 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
  }
  local function quota(files) return limits(merged(v1, files)).quota end

  it("with a quota of -1 is not a limit", function()
    assert.equal(0, quota { ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_quota_us"] = "-1",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_period_us"] = "100000" })
  end)

  it("takes the least quota of the whole path, rounded up", function()
    assert.equal(2, quota {
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_quota_us"] = "-1",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_period_us"] = "100000",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_quota_us"] = "700000",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_period_us"] = "100000",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us"] = "75000",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us"] = "50000",
    })
  end)

  it("counts the cpuset, the effective one where there is one", function()
    local own = { ["/sys/fs/cgroup/cpuset/jobs/a/cpuset.cpus"] = "0-7,16-23" }
    assert.equal(16, limits(merged(v1, own)).cpuset)
    own["/sys/fs/cgroup/cpuset/jobs/a/cpuset.effective_cpus"] = "0-3"
    assert.equal(4, limits(merged(v1, own)).cpuset)
  end)

  it("beside v2 is one limit more: the least of both holds", function()
    local both = {
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_quota_us"] = "500000",
      ["/sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_period_us"] = "100000",
      ["/sys/fs/cgroup/unified/cpu.max"] = "300000 100000",
    }
    assert.equal(3, quota(both))
    both["/sys/fs/cgroup/unified/cpu.max"] = "600000 100000"
    assert.equal(5, quota(both))
  end)
end)

describe("where the cgroup is mounted", function()
  local max = "300000 100000"
  local function quota(cgroup, mounts, path)
    return limits({
      ["/proc/self/cgroup"] = cgroup, ["/proc/self/mountinfo"] = mounts, [path .. "/cpu.max"] = max,
    }).quota
  end

  it("may be a part of the hierarchy, as in a container", function()
    assert.equal(3, quota("0::/docker/abc", "9 1 0:2 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro",
      "/sys/fs/cgroup"))
    assert.equal(3, quota("0::/docker/abc/x", "9 1 0:2 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro",
      "/sys/fs/cgroup/x"))
    -- abcd is not inside of abc, although its name begins alike; and only abc is mounted here.
    assert.equal(0, quota("0::/docker/abcd", "9 1 0:2 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro",
      "/sys/fs/cgroup/d"))
  end)

  it("may be the root of a cgroup namespace", function()
    assert.equal(3, quota("0::/", "9 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw", "/sys/fs/cgroup"))
  end)

  it("may be above the root of the namespace, or beside it", function()
    local above = "9 1 0:2 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw"
    assert.equal(3, quota("0::/", above, "/sys/fs/cgroup"))
    assert.equal(3, quota("0::/../../x", above, "/sys/fs/cgroup/x"))
    -- No step out of the mount: the folder beside it is not a cgroup of ours.
    assert.equal(0, quota("0::/../x", "9 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw", "/sys/fs/x"))
    assert.equal(3, quota("0::/../x", "9 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw", "/sys/fs/cgroup"))
  end)

  it("may have a name that needs escapes", function()
    assert.equal(3, quota("0::/a", [[9 1 0:2 / /sys/a\040b\134c rw - cgroup2 cgroup rw]], "/sys/a b\\c/a"))
  end)

  it("is the mount that shows most of the path", function()
    assert.equal(3, quota("0::/a/b", "8 1 0:2 /a/b /mnt/part rw - cgroup2 cgroup rw\n"
      .. "9 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
      .. "10 1 0:2 /z /mnt/other rw - cgroup2 cgroup rw", "/sys/fs/cgroup/a"))
  end)

  it("may be nowhere", function()
    assert.same({ 0, 0 }, { limits({}).quota, limits({}).cpuset })
    assert.equal(0, quota("0::/a", "9 1 0:2 / /proc rw - proc proc rw", "/sys/fs/cgroup/a"))
    assert.equal(0, quota("broken", "broken - cgroup2\n - \n9 1 - cgroup2 x y", "/sys/fs/cgroup"))
  end)
end)

describe("the count", function()
  it("is the least of mask, cpuset and quota, at least 1", function()
    local base = {
      ["/proc/self/cgroup"] = "0::/", ["/proc/self/mountinfo"] = "9 1 0:2 / /c rw - cgroup2 cgroup rw",
    }
    assert.equal(1, limits(merged(base, { ["/c/cpu.max"] = "500 100000" })).count)
    assert.equal(1, limits(merged(base, { ["/c/cpuset.cpus.effective"] = "3" })).count)
    local wide = limits(merged(base, {
      ["/c/cpuset.cpus.effective"] = "0-4095", ["/c/cpu.max"] = "max 100000",
    }))
    assert.equal(wide.affinity, wide.count)
  end)

  it("is what lk.cpu_count says of this process", function()
    local found = cpu.limits()
    assert.equal(found.count, lk.cpu_count())
  end)

  it("follows the affinity mask", function()
    local list = program.capture "grep Cpus_allowed_list /proc/self/status | cut -f2"
    local code = "print(require 'lkrun'.cpu_count(), require 'lkrun.core.cpu'.limits().affinity)"
    local first = list:match "^%d+"
    assert.equal("1\t1\n", (program.output(code, { before = "taskset -c " .. first })))
    local affinity = program.output(code):match "\t(%d+)"
    assert.equal(program.capture "env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc", affinity)
  end)
end)

describe("a real cgroup", function()
  -- A cgroup of ours with this quota in CPUs, or nil and why there can be none.
  local function make_cgroup(name, v1, cpus)
    local base = v1 and "/sys/fs/cgroup/cpu" or "/sys/fs/cgroup"
    local folder = ("%s/lkrun-test-%s-%s"):format(base, program.capture "echo $PPID", name)
    local set = v1 and ("echo 100000 > %s/cpu.cfs_period_us && echo %d > %s/cpu.cfs_quota_us")
      :format(folder, cpus * 100000 // 1, folder)
      or ("echo '%d 100000' > %s/cpu.max"):format(cpus * 100000 // 1, folder)
    local inner = folder .. "/inner"
    if program.capture("stat -f -c %T " .. base .. " 2>/dev/null") ~= (v1 and "cgroupfs" or "cgroup2fs") then
      return nil
    end
    local made = os.execute(("{ mkdir %s && %s && mkdir %s; } 2>/dev/null"):format(folder, set, inner))
    local cgroup = setmetatable({ procs = inner .. "/cgroup.procs" }, {
      __close = function() os.execute(("rmdir %s %s 2>/dev/null"):format(inner, folder)) end,
    })
    if not made then
      getmetatable(cgroup).__close()
      return nil
    end
    return cgroup
  end

  for _, version in ipairs { "v1", "v2" } do
    it(("of %s with half a CPU above an unlimited one gives one CPU"):format(version), function()
      local cgroup <close> = make_cgroup("half", version == "v1", 0.5)
      if not cgroup then return pending(("no writable cgroup %s with a CPU controller"):format(version)) end
      local code = [[
        local limits = require "lkrun.core.cpu".limits()
        print(limits.quota, limits.count)
      ]]
      assert.equal("1\t1\n", (program.output(code, { shell = "echo $$ > " .. cgroup.procs })))
    end)

    it(("of %s with 1.5 CPUs gives two"):format(version), function()
      local cgroup <close> = make_cgroup("more", version == "v1", 1.5)
      if not cgroup then return pending(("no writable cgroup %s with a CPU controller"):format(version)) end
      assert.equal("2\n", (program.output("print(require 'lkrun.core.cpu'.limits().quota)",
        { shell = "echo $$ > " .. cgroup.procs })))
    end)
  end
end)

describe("the topology", function()
  local code = [[
    local t = require "lkrun.core.cpu".topology()
    print(t.packages, t.cores, t.cpus, t.numa_nodes)
  ]]
  it("is that of any machine that is described", function()
    assert.equal("2\t64\t128\t2\n",
      (program.output(code, { env = { HWLOC_SYNTHETIC = "pack:2 [numa] core:32 pu:2" } })))
    assert.equal("1\t4\t4\t1\n",
      (program.output(code, { env = { HWLOC_SYNTHETIC = "pack:1 [numa] core:4 pu:1" } })))
  end)

  it("of this machine has a CPU and a NUMA node", function()
    local topology = cpu.topology()
    assert.is_true(topology.cpus >= 1 and topology.numa_nodes >= 1)
    assert.is_true(topology.cores <= topology.cpus and topology.packages <= topology.cores)
  end)
end)
