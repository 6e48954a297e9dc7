package qupath.lib.objects

/** Stand-in after QuPath's MeasurementList, which holds floats for detections. */
class MeasurementList {
    final Map<String, Number> values = new LinkedHashMap()
    private final boolean floats

    MeasurementList(boolean floats) {
        this.floats = floats
    }

    void put(String name, double value) {
        values.put(name, floats ? (double) ((float) value) : value)
    }

    void putAll(Map<String, ? extends Number> map) {
        map.each { name, value -> put(name, value.doubleValue()) }
    }

    void putAll(MeasurementList list) {
        putAll(list.values)
    }

    double get(String name) {
        return values.containsKey(name) ? values.get(name) as double : Double.NaN
    }

    double remove(String name) {
        double found = get(name)
        values.remove(name)
        return found
    }

    void close() {
    }
}
