package qupath.lib.plugins.parameters

/** Stand-in after QuPath's ParameterList. */
class ParameterList {
    Map<String, Map> shown = [:]

    ParameterList addChoiceParameter(String key, String prompt, Object value, List choices, String help) {
        assert value in choices
        shown[key] = [prompt: prompt, value: value, choices: new ArrayList(choices)]
        return this
    }

    ParameterList addStringParameter(String key, String prompt, String value, String help) {
        shown[key] = [prompt: prompt, value: value]
        return this
    }

    ParameterList addIntParameter(String key, String prompt, int value, String unit, String help) {
        shown[key] = [prompt: prompt, value: value]
        return this
    }

    Object getChoiceParameterValue(String key) {
        return shown[key].value
    }

    String getStringParameterValue(String key) {
        return shown[key].value
    }

    Integer getIntParameterValue(String key) {
        return shown[key].value as Integer
    }
}
