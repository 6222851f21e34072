import jakarta.xml.bind.Marshaller;
import jakarta.xml.bind.Unmarshaller;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import oasis.names.tc.xacml._3_0.core.schema.wd_17.Request;
import oasis.names.tc.xacml._3_0.core.schema.wd_17.Response;
import org.json.JSONArray;
import org.json.JSONObject;
import org.ow2.authzforce.core.pdp.api.AttributeFqns;
import org.ow2.authzforce.core.pdp.api.DecisionRequest;
import org.ow2.authzforce.core.pdp.api.DecisionRequestBuilder;
import org.ow2.authzforce.core.pdp.api.io.PdpEngineInoutAdapter;
import org.ow2.authzforce.core.pdp.api.value.Bags;
import org.ow2.authzforce.core.pdp.api.value.StandardDatatypes;
import org.ow2.authzforce.core.pdp.api.value.StringValue;
import org.ow2.authzforce.core.pdp.impl.BasePdpEngine;
import org.ow2.authzforce.core.pdp.impl.PdpEngineConfiguration;
import org.ow2.authzforce.core.pdp.impl.io.PdpEngineAdapters;
import org.ow2.authzforce.core.pdp.io.xacml.json.BaseXacmlJsonResultPostprocessor;
import org.ow2.authzforce.core.pdp.io.xacml.json.MultipleDecisionXacmlJsonRequestPreprocessor;
import org.ow2.authzforce.core.pdp.io.xacml.json.SingleDecisionXacmlJsonRequestPreprocessor;
import org.ow2.authzforce.xacml.Xacml3JaxbHelper;
import org.wso2.balana.PDP;
import org.wso2.balana.PDPConfig;
import org.wso2.balana.ctx.AbstractRequestCtx;
import org.wso2.balana.ctx.EvaluationCtxFactory;
import org.wso2.balana.ctx.RequestCtxFactory;
import org.wso2.balana.finder.AttributeFinder;
import org.wso2.balana.finder.PolicyFinder;
import org.wso2.balana.finder.PolicyFinderModule;
import org.wso2.balana.finder.ResourceFinder;
import org.wso2.balana.finder.impl.FileBasedPolicyFinderModule;

/** Times AuthzForce core and WSO2 Balana on policies and requests in files; prints one JSON object a line. */
public final class Peers {
  private interface Call<T> {
    Object on(T input) throws Exception;
  }

  private static double seconds;
  private static long clock;

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    seconds = Double.parseDouble(args[1]);
    clock = clockCost();
    for (String name : List.of("app", "large")) {
      authzForce(folder, name);
      balana(folder, name);
    }
  }

  private static void authzForce(Path folder, String name) throws Exception {
    Path config = folder.resolve("pdp-" + name + ".xml");
    Files.writeString(
        config,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
            + "<pdp xmlns=\"http://authzforce.github.io/core/xmlns/pdp/8\" version=\"8.0\""
            + " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"
            + "<policyProvider id=\"files\" xsi:type=\"StaticPolicyProvider\"><policyLocation>"
            + folder.resolve(name + ".xml").toUri()
            + "</policyLocation></policyProvider></pdp>");
    PdpEngineConfiguration read = PdpEngineConfiguration.getInstance(config.toString());
    BasePdpEngine engine = new BasePdpEngine(read);
    List<JSONObject> parsed = new ArrayList<>();
    for (String text : texts(folder, name, "json")) {
      parsed.add(new JSONObject(text));
    }
    List<DecisionRequest> ready = new ArrayList<>();
    for (JSONObject request : parsed) {
      ready.add(built(engine, request));
    }
    List<Object> decisions = new ArrayList<>();
    for (DecisionRequest request : ready) {
      decisions.add(engine.evaluate(request).getDecision().value());
    }
    System.out.println(new JSONObject().put("engine", "AuthzForce").put("policy", name).put("decisions", decisions));
    time("AuthzForce", name, "ready", ready, engine::evaluate);

    PdpEngineInoutAdapter<JSONObject, JSONObject> json =
        PdpEngineAdapters.newInoutAdapter(
            JSONObject.class,
            JSONObject.class,
            engine,
            SingleDecisionXacmlJsonRequestPreprocessor.LaxVariantFactory.INSTANCE.getInstance(
                read.getAttributeValueFactoryRegistry(), false, false, Set.of()),
            new BaseXacmlJsonResultPostprocessor(0));
    time("AuthzForce", name, "json", texts(folder, name, "json"), text -> json.evaluate(new JSONObject(text)).toString());

    PdpEngineInoutAdapter<Request, Response> xml =
        PdpEngineAdapters.newXacmlJaxbInoutAdapter(PdpEngineConfiguration.getInstance(config.toString()));
    Unmarshaller reader = Xacml3JaxbHelper.createXacml3Unmarshaller();
    Marshaller writer = Xacml3JaxbHelper.createXacml3Marshaller();
    time(
        "AuthzForce",
        name,
        "xml",
        bytes(folder, name),
        body -> {
          Request request = (Request) reader.unmarshal(new ByteArrayInputStream(body));
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          writer.marshal(xml.evaluate(request), out);
          return out.toByteArray();
        });

    if (name.equals("app")) {
      PdpEngineInoutAdapter<JSONObject, JSONObject> multi =
          PdpEngineAdapters.newInoutAdapter(
              JSONObject.class,
              JSONObject.class,
              engine,
              new MultipleDecisionXacmlJsonRequestPreprocessor.LaxVariantFactory()
                  .getInstance(read.getAttributeValueFactoryRegistry(), false, false, Set.of()),
              new BaseXacmlJsonResultPostprocessor(0));
      String text = Files.readString(folder.resolve("multi.json"));
      time("AuthzForce", name, "multi-json", List.of(text), body -> multi.evaluate(new JSONObject(body)).toString());
      List<DecisionRequest> instances = new ArrayList<>();
      for (String line : Files.readAllLines(folder.resolve("multi-single.jsonl"))) {
        instances.add(built(engine, new JSONObject(line)));
      }
      time(
          "AuthzForce",
          name,
          "multi",
          List.of(instances),
          all -> {
            Object last = null;
            for (DecisionRequest one : all) {
              last = engine.evaluate(one);
            }
            return last;
          });
    }
  }

  private static DecisionRequest built(BasePdpEngine engine, JSONObject text) {
    DecisionRequestBuilder<?> builder = engine.newRequestBuilder(-1, -1);
    JSONArray categories = text.getJSONObject("Request").getJSONArray("Category");
    for (int c = 0; c < categories.length(); c++) {
      JSONObject category = categories.getJSONObject(c);
      JSONArray attributes = category.getJSONArray("Attribute");
      for (int a = 0; a < attributes.length(); a++) {
        JSONObject attribute = attributes.getJSONObject(a);
        List<StringValue> values = new ArrayList<>();
        Object value = attribute.get("Value");
        if (value instanceof JSONArray) {
          for (Object item : (JSONArray) value) {
            values.add(new StringValue(item.toString()));
          }
        } else {
          values.add(new StringValue(value.toString()));
        }
        builder.putNamedAttributeIfAbsent(
            AttributeFqns.newInstance(
                category.getString("CategoryId"), Optional.empty(), attribute.getString("AttributeId")),
            Bags.newAttributeBag(StandardDatatypes.STRING, values));
      }
    }
    return builder.build(false);
  }

  private static void balana(Path folder, String name) throws Exception {
    PolicyFinder policies = new PolicyFinder();
    Set<PolicyFinderModule> modules = new HashSet<>();
    modules.add(new FileBasedPolicyFinderModule(Set.of(folder.resolve(name + ".xml").toString())));
    policies.setModules(modules);
    PDPConfig config = new PDPConfig(new AttributeFinder(), policies, new ResourceFinder(), false);
    PDP pdp = new PDP(config);
    List<AbstractRequestCtx> ready = new ArrayList<>();
    for (String text : texts(folder, name, "xml")) {
      ready.add(RequestCtxFactory.getFactory().getRequestCtx(text));
    }
    List<Object> decisions = new ArrayList<>();
    for (AbstractRequestCtx request : ready) {
      int decision = pdp.evaluate(request).getResults().iterator().next().getDecision();
      decisions.add(List.of("Permit", "Deny", "Indeterminate", "NotApplicable").get(decision));
    }
    System.out.println(new JSONObject().put("engine", "Balana").put("policy", name).put("decisions", decisions));
    time(
        "Balana",
        name,
        "ready",
        ready,
        request -> pdp.evaluate(EvaluationCtxFactory.getFactory().getEvaluationCtx(request, config)));
    time("Balana", name, "xml", texts(folder, name, "xml"), pdp::evaluate);
    if (name.equals("app")) {
      List<AbstractRequestCtx> instances = new ArrayList<>();
      for (String line : Files.readAllLines(folder.resolve("multi-single.xmll"))) {
        instances.add(RequestCtxFactory.getFactory().getRequestCtx(line));
      }
      time(
          "Balana",
          name,
          "multi",
          List.of(instances),
          all -> {
            Object last = null;
            for (AbstractRequestCtx one : all) {
              last = pdp.evaluate(EvaluationCtxFactory.getFactory().getEvaluationCtx(one, config));
            }
            return last;
          });
    }
  }

  private static List<String> texts(Path folder, String name, String kind) throws Exception {
    List<String> found = new ArrayList<>();
    for (int n = 0; Files.exists(folder.resolve(name + "-" + n + "." + kind)); n++) {
      found.add(Files.readString(folder.resolve(name + "-" + n + "." + kind)));
    }
    return found;
  }

  private static List<byte[]> bytes(Path folder, String name) throws Exception {
    List<byte[]> found = new ArrayList<>();
    for (String text : texts(folder, name, "xml")) {
      found.add(text.getBytes(StandardCharsets.UTF_8));
    }
    return found;
  }

  private static Object kept;

  /** What reading the clock twice costs by itself, to be taken off. */
  private static long clockCost() {
    long[] taken = new long[200_000];
    for (int i = 0; i < taken.length; i++) {
      long start = System.nanoTime();
      taken[i] = System.nanoTime() - start;
    }
    Arrays.sort(taken);
    return taken[taken.length / 2];
  }

  /** Warms up for the time given, then measures for as long; one clock reading around each call. */
  private static <T> void time(String engine, String policy, String path, List<T> inputs, Call<T> call)
      throws Exception {
    long until = System.nanoTime() + (long) (seconds * 1e9);
    for (int i = 0; System.nanoTime() < until; i++) {
      kept = call.on(inputs.get(i % inputs.size()));
    }
    long[] taken = new long[4_000_000];
    int count = 0;
    until = System.nanoTime() + (long) (seconds * 1e9);
    while (count < taken.length && (count < 20 || System.nanoTime() < until)) {
      T input = inputs.get(count % inputs.size());
      long start = System.nanoTime();
      kept = call.on(input);
      taken[count++] = System.nanoTime() - start - clock;
    }
    Arrays.sort(taken, 0, count);
    long sum = 0;
    for (int i = 0; i < count; i++) {
      sum += taken[i];
    }
    System.out.println(
        new JSONObject()
            .put("engine", engine)
            .put("policy", policy)
            .put("path", path)
            .put("p50", taken[count / 2] / 1000.0)
            .put("p99", taken[(int) (count * 0.99)] / 1000.0)
            .put("mean", sum / (double) count / 1000.0)
            .put("calls", count));
  }
}
