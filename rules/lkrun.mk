# What a Makefile includes to run lkrun in its rules; docs/make.md is its page.
#
#   LKRUN_RATINGS = ratings.csv
#   LKRUN_MODELS = popularity als
#   LKRUN_MODEL_als = als.implicit
#   include /usr/local/share/lkrun/rules/lkrun.mk
#   all: $(LKRUN_MODELS:%=results/first.%.json)
#
# Set the variables before the include: the rules are made from their values at that moment.

LKRUN ?= lkrun
LKRUN_RATINGS ?=# a CSV or TSV file; if it is empty, ratings are generated
LKRUN_SPLIT ?=# further options of the step "split" in docs/lkrec-steps.md, as members of a JSON object
LKRUN_SEED ?= 1
LKRUN_BLOCK ?= 50# users in a task
LKRUN_N ?= 10# items to recommend to each user, and places that count in the metrics
LKRUN_SHARDS ?= 2# jobs that recommend, for each model
LKRUN_MODELS ?= popularity
# LKRUN_MODEL_x is the module of model x, if that is not x; LKRUN_OPTIONS_x has its options, as JSON members.
$(if $(findstring /,$(LKRUN_MODELS)),$(error lkrun: LKRUN_MODELS: $(LKRUN_MODELS) found; expected names \
  without /, for they are parts of file names; LKRUN_MODEL_x says which module model x is))

lkrun-rules := $(dir $(lastword $(MAKEFILE_LIST)))
lkrun-comma := ,
lkrun-flags = $(filter-out --%,$(firstword -$(MAKEFLAGS)))

# A recipe line that begins with + has access to make's jobserver, but is also run by make -n, -q and -t. The + is
# left out under these options.
lkrun-plus = $(if $(strip $(foreach flag,n q t,$(findstring $(flag),$(lkrun-flags)))),,+)

# A recipe's line that runs lkrun: $(call lkrun,map op.lua --tasks $< --output $@)
lkrun = $(lkrun-plus)$(LKRUN) $(1)

# A step of lkrec: $(call lkrun-step,train,"data": "split.lkz")
lkrun-step = $(call lkrun,-e 'require("lkrec.steps").run(...)' $(1) '{$(2)}')

# lkrun-member is a member of a JSON object, or nothing if its value is empty; lkrun-more adds members that the user gave.
lkrun-member = $(if $(2),$(lkrun-comma) "$(1)": "$(2)")
lkrun-more = $(if $(strip $(1)),$(lkrun-comma) $(1))

%.split.lkz %.tasks.csv: $(LKRUN_RATINGS)
	@mkdir -p $(@D)
	$(call lkrun-step,split,"output": "$*.split.lkz"$(call lkrun-member,tasks,$*.tasks.csv)$(call \
	  lkrun-more,"block": $(LKRUN_BLOCK))$(call lkrun-more,"seed": $(LKRUN_SEED))$(call \
	  lkrun-member,ratings,$(LKRUN_RATINGS))$(call lkrun-more,$(LKRUN_SPLIT)))

# The rules of model $(1), whose shards are $(2).
define lkrun-model-rules
%.$(1).lkz: %.split.lkz
	$$(call lkrun-step,train,"data": "$$<"$$(call lkrun-member,output,$$@)$$(call \
	  lkrun-member,model,$$(or $$(LKRUN_MODEL_$(1)),$(1)))$$(call \
	  lkrun-more,"options": {$$(LKRUN_OPTIONS_$(1))}))

%.$(1).csv: $(addprefix %.$(1).,$(addsuffix .csv,$(2)))
	$$(call lkrun,merge $$@ $$^)

%.$(1).json: %.split.lkz %.$(1).csv
	$$(call lkrun-step,evaluate,"data": "$$<"$$(call \
	  lkrun-member,recommendations,$$(word 2,$$^))$$(call lkrun-member,output,$$@)$$(call \
	  lkrun-more,"n": $(LKRUN_N)))

.PRECIOUS: %.$(1).lkz %.$(1).csv
endef

# The rule of shard $(2) of model $(1). After an interrupted run, --resume continues from the journal.
define lkrun-shard-rules
%.$(1).$(2).csv: %.$(1).lkz %.tasks.csv
	$$(call lkrun,map $(lkrun-rules)recommend/scripts/operation.lua --model $$< --tasks $$(word 2,$$^) \
	  --shard $(2) --op-args '{"n": $(LKRUN_N)}' --resume --quiet --output $$@)
endef

lkrun-shards := $(patsubst %,%-of-$(strip $(LKRUN_SHARDS)),$(shell seq $(LKRUN_SHARDS)))
$(foreach model,$(LKRUN_MODELS),\
  $(eval $(call lkrun-model-rules,$(model),$(lkrun-shards)))\
  $(foreach shard,$(lkrun-shards),$(eval $(call lkrun-shard-rules,$(model),$(shard)))))

.PRECIOUS: %.split.lkz %.tasks.csv
