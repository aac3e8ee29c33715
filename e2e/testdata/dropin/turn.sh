# Sourced before each script. `$M` stands for the tool whose turn it is: it runs
# one command as `docker manifest` or `docker multiarch`, by the next word of
# TURNS, and leaves in STEPS what the command printed, its exit code, and the
# local store as it was then.
M=turn
config=$DOCKER_CONFIG
count=0

turn() {
	count=$((count + 1))
	step=$STEPS/$((100 + count))
	next_tool $count $TURNS
	echo "$*" >"$step.command"
	docker "$tool" "$@" >"$step.stdout" 2>"$step.stderr"
	code=$?
	echo $code >"$step.code"
	if [ -d "$config/manifests" ]; then
		cp -R "$config/manifests" "$step.store"
	fi
	return $code
}

next_tool() {
	shift "$1"
	tool=$1
}

# hide_output COMMAND...: run a command whose output is not compared.
hide_output() {
	"$@"
	: >"$step.stdout"
}

# entry_files: the files of all local lists.
entry_files() { find "$config/manifests" -type f ! -name '.*'; }

# written_by_docker_20: the local lists become what docker 20.10 writes, without
# the manifests' own bytes.
written_by_docker_20() {
	entry_files | while read -r file; do
		sed -i -E 's/"Raw":"[^"]*",//; s/,"Multiarch":\{.*\}/}/' "$file"
	done
}

# written_by_docker_18: the local lists become what docker 18.03 writes, with a
# digest and a platform in place of a descriptor.
written_by_docker_18() {
	written_by_docker_20
	entry_files | while read -r file; do
		sed -i -E 's/"Descriptor":\{"mediaType":"[^"]*","digest":"([^"]*)","size":[0-9]+,"platform":(\{[^}]*\})\}/"Digest":"\1","Platform":\2/' "$file"
	done
}

# under_hub_name LIST FROM TO: a copy of the local list whose folder is LIST, with
# the name FROM replaced by TO. No test asks Docker Hub.
under_hub_name() {
	from=$config/manifests/$(echo "$2" | sed 's/:/-/g; s,/,_,g')
	to=$config/manifests/$(echo "$3" | sed 's/:/-/g; s,/,_,g')
	cp -R "$from-$1" "$to-$1"
	for file in "$to-$1"/*; do
		name=$(basename "$file")
		sed -E "s,$2,$3,g; s/,\"Multiarch\":\{.*\}/}/" "$file" >"$to-$1/$(echo "$name" | sed "s,$(basename "$from"),$(basename "$to"),").new"
		rm "$file"
	done
	for file in "$to-$1"/*.new; do
		mv "$file" "${file%.new}"
	done
}
