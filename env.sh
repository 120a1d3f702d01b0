# source env.sh     in bash, from any directory: the virtual environment, and where Dagster finds this project.
# No command of the project needs more than this.

BARCODE_PIPELINE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)"
export BARCODE_PIPELINE_ROOT

if [ ! -f "$BARCODE_PIPELINE_ROOT/.venv/bin/activate" ]; then
    echo "env.sh: there is no virtual environment in $BARCODE_PIPELINE_ROOT/.venv: run \`make install\` there first." >&2
    return 1 2>/dev/null || exit 1
fi
# shellcheck disable=SC1091
. "$BARCODE_PIPELINE_ROOT/.venv/bin/activate"

export DAGSTER_HOME="$BARCODE_PIPELINE_ROOT/.dagster_home"
mkdir -p "$DAGSTER_HOME"
ln -sfn ../dagster.yaml "$DAGSTER_HOME/dagster.yaml"

# Which module these two commands load. DAGSTER_MODULE_NAME would stop `dagster dev` from serving.
export DAGSTER_CLI_ASSET_MATERIALIZE_MODULE_NAME=barcode_pipeline.definitions
export DAGSTER_CLI_ASSET_LIST_MODULE_NAME=barcode_pipeline.definitions
export DAGSTER_DISABLE_TELEMETRY=yes
