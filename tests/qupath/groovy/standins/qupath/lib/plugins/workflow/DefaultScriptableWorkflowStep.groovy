package qupath.lib.plugins.workflow

/** Stand-in after QuPath's step of a workflow. */
class DefaultScriptableWorkflowStep {
    final String name
    final Map parameterMap
    final String script

    DefaultScriptableWorkflowStep(String name, Map<String, ?> parameterMap, String script) {
        this.name = name
        this.parameterMap = parameterMap
        this.script = script
    }
}
